package mqttbridge

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"mtmledger/ledger"
)

// stats are figures beyond Counts, since New.
type stats struct {
	transactions     atomic.Uint64
	transactionBytes atomic.Uint64
	resubmitted      atomic.Uint64
	latency          prometheus.Histogram // of committed statements, received to committed

	mu      sync.Mutex
	letters map[ledger.Code]uint64
}

func newStats() *stats {
	return &stats{
		letters: map[ledger.Code]uint64{},
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "mtm_bridge_commit_seconds",
			Help:    "Time from receiving a message to the result of its transaction.",
			Buckets: prometheus.ExponentialBuckets(0.01, 2, 14),
		}),
	}
}

func (s *stats) observe(nowMicros int64, items []*item) {
	for _, it := range items {
		s.latency.Observe(float64(nowMicros-it.received) / 1e6)
	}
}

func (s *stats) deadLetter(c ledger.Code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.letters[c]++
}

func (s *stats) deadLetters() map[ledger.Code]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := make(map[ledger.Code]uint64, len(s.letters))
	for c, n := range s.letters {
		m[c] = n
	}
	return m
}

// collector gives the bridge's figures to Prometheus.
type collector struct{ b *Bridge }

var (
	descMessages     = desc("messages_total", "Messages taken since the bridge's folder was made: received is the sum of committed, duplicate, dead_lettered and spooled.", "outcome")
	descSpooled      = desc("spooled", "Messages that are not decided yet.")
	descReasons      = desc("dead_letters_total", "Dead letters since the start, by reason.", "reason")
	descTransactions = desc("transactions_total", "Transactions submitted since the start.")
	descTxBytes      = desc("transaction_bytes_total", "Their bytes.")
	descResubmitted  = desc("transactions_resubmitted_total", "Those among them that repeat statements.")
	descUnderway     = desc("transactions_under_way", "Transactions whose result is awaited.")
	descAnswers      = desc("answers_total", "Acknowledgements and data, published or lost.", "fate")
	descSpoolBytes   = desc("spool_bytes", "Size of the spool's files.")
	descSpoolSyncs   = desc("spool_syncs_total", "Syncs of the spool since the start.")
	descMemory       = desc("items", "Messages in memory between spool and ledger.")
	descRetrying     = desc("retrying", "Messages refused for a reason that may pass, waiting to be tried again.")
	descRefused      = desc("broker_refused_total", "Refused by the embedded broker: what is not permitted, connections beyond the limit or with bad packets.", "what")
	descReady        = desc("ready", "Whether the bridge is ready.")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("mtm_bridge_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descMessages, descSpooled, descReasons, descTransactions, descTxBytes, descResubmitted, descUnderway,
		descAnswers, descSpoolBytes, descSpoolSyncs, descMemory, descRetrying, descRefused, descReady,
	} {
		ch <- d
	}
	c.b.stats.latency.Describe(ch)
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	n := c.b.Counts()
	count(descMessages, n.Committed, "committed")
	count(descMessages, n.Duplicate, "duplicate")
	count(descMessages, n.DeadLettered, "dead_lettered")
	count(descMessages, n.Received, "received")
	gauge(descSpooled, float64(n.Spooled))
	for code, k := range c.b.stats.deadLetters() {
		count(descReasons, k, code.String())
	}
	s := c.b.stats
	count(descTransactions, s.transactions.Load())
	count(descTxBytes, s.transactionBytes.Load())
	count(descResubmitted, s.resubmitted.Load())
	gauge(descUnderway, float64(c.b.underway.Load()))
	count(descAnswers, c.b.answers.sent.Load(), "published")
	count(descAnswers, c.b.answers.lost.Load(), "lost")
	sp := c.b.spool.Stats()
	gauge(descSpoolBytes, float64(sp.Bytes))
	count(descSpoolSyncs, sp.Syncs)
	items, retrying := c.b.queue.size()
	gauge(descMemory, float64(items))
	gauge(descRetrying, float64(retrying))
	if br := c.b.cfg.Broker; br != nil {
		refused := br.Stats()
		count(descRefused, refused.Denied, "denied")
		count(descRefused, refused.Refused, "connection")
	}
	ready := 0.0
	if c.b.Ready() == nil {
		ready = 1
	}
	gauge(descReady, ready)
	s.latency.Collect(ch)
}
