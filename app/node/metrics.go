package node

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"mtmledger/app/client"
	"mtmledger/app/query"
)

// metricsPath is where Prometheus finds the node's figures, on its RPC address.
const metricsPath = "/metrics"

// collector gives a node's status to Prometheus.
type collector struct{ n *Node }

var (
	descHeight     = desc("height", "Last committed block.")
	descSigned     = desc("signed_height", "Greatest height whose state certificates can prove.")
	descBlocks     = desc("blocks_kept", "Blocks that are not pruned.")
	descLog        = desc("log_entries", "Entries of the log.")
	descStanding   = desc("standing_seconds", "Time since the height last changed.")
	descCatchingUp = desc("catching_up", "Whether the node still fetches blocks from others.")
	descPeers      = desc("peers", "Nodes connected to.")
	descPool       = desc("pool_transactions", "Transactions waiting in the pool.")
	descPoolBytes  = desc("pool_bytes", "Their bytes.")
	descDisk       = desc("disk_bytes", "Size of the database.")
	descRefused    = desc("refused_total", "Refusals since the start: of transactions before the pool, of what stands in blocks, of queries.", "of", "code")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("mtm_node_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descHeight, descSigned, descBlocks, descLog, descStanding, descCatchingUp, descPeers,
		descPool, descPoolBytes, descDisk, descRefused,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	s, err := c.n.local.Status(c.n.life)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(descHeight, err)
		return
	}
	gauge := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	gauge(descHeight, float64(s.Height))
	gauge(descSigned, float64(s.SignedHeight))
	gauge(descBlocks, blocksKept(s))
	gauge(descLog, float64(s.LogSize))
	gauge(descStanding, time.Since(time.Unix(0, c.n.moved.Load())).Seconds())
	gauge(descCatchingUp, map[bool]float64{true: 1}[s.CatchingUp])
	gauge(descPeers, float64(s.Peers))
	gauge(descPool, float64(s.PoolCount))
	gauge(descPoolBytes, float64(s.PoolBytes))
	gauge(descDisk, float64(s.DiskBytes))
	refused(ch, "transaction", s.Refused.Transactions)
	refused(ch, "committed", s.Refused.Committed)
	refused(ch, "query", s.Refused.Queries)
}

func blocksKept(s client.Status) float64 {
	if s.BaseHeight == 0 || s.BaseHeight > s.Height {
		return 0
	}
	return float64(s.Height - s.BaseHeight + 1)
}

func refused(ch chan<- prometheus.Metric, of string, counts []query.CodeCount) {
	for _, c := range counts {
		ch <- prometheus.MustNewConstMetric(descRefused, prometheus.CounterValue, float64(c.Count), of, c.Code.String())
	}
}

func (n *Node) metricsHandler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{n})
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}
