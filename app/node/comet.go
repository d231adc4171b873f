package node

import (
	"time"

	cfg "github.com/cometbft/cometbft/config"

	"mtmledger/ledger"
)

// Tuning of CometBFT, measured on loopback with one and four validators
// (docs/design/app.md has the figures).
const (
	poolTransactions = 20_000    // transactions waiting in the pool
	poolBytes        = 256 << 20 // bytes waiting in the pool
	poolCache        = 100_000   // transactions remembered, so none enters twice
	peerRate         = 100 << 20 // bytes a second, each way, each peer
	packetBytes      = 64 << 10
	gossipSleep      = 5 * time.Millisecond
	flushThrottle    = 2 * time.Millisecond
)

// cometConfig returns CometBFT's configuration for a complete Config.
func cometConfig(c Config) *cfg.Config {
	cc := cfg.DefaultConfig()
	cc.SetRoot(c.Home)
	cc.Moniker = c.Name
	cc.DBPath = "data"
	cc.FilterPeers = true     // see app.Clients.RefusePeers
	cc.RPC.ListenAddress = "" // serveRPC listens
	cc.TxIndex.Indexer = "null"
	cc.Storage.DiscardABCIResponses = true
	cc.Instrumentation.Prometheus = false
	cc.StateSync.Enable = false
	cc.BlockSync.AdaptiveSync = false
	tunePool(cc.Mempool)
	tuneP2P(cc.P2P, c)
	tuneConsensus(cc.Consensus, c)
	return cc
}

// tunePool: the pool never rechecks. app.Clients removes what can't be proposed any more,
// with one look-up a sender instead of one check a transaction; what is stale otherwise is
// harmless: it is refused in its block, and uses its sender's quota.
func tunePool(m *cfg.MempoolConfig) {
	m.Type = cfg.MempoolTypeFlood
	m.Recheck = false
	m.Broadcast = true
	m.Size = poolTransactions
	m.MaxTxsBytes = poolBytes
	m.CacheSize = poolCache
	m.MaxTxBytes = ledger.MaxTransaction
	m.KeepInvalidTxsInCache = false
}

// tuneP2P: members are known by name (persistent peers), so there is no peer
// exchange; addresses may be private, and several nodes may share one host.
func tuneP2P(p *cfg.P2PConfig, c Config) {
	p.ListenAddress = "tcp://" + c.P2PListen
	p.PersistentPeers = joinPeers(c.Peers)
	p.PexReactor = false
	p.AddrBookStrict = false
	p.AllowDuplicateIP = true
	p.SendRate = peerRate
	p.RecvRate = peerRate
	p.MaxPacketMsgPayloadSize = packetBytes
	p.FlushThrottleTimeout = flushThrottle
	p.PersistentPeersMaxDialPeriod = 2 * time.Second
}

func tuneConsensus(s *cfg.ConsensusConfig, c Config) {
	s.CreateEmptyBlocks = false
	s.CreateEmptyBlocksInterval = c.Heartbeat
	s.TimeoutCommit = c.BlockInterval
	s.SkipTimeoutCommit = false
	s.PeerGossipSleepDuration = gossipSleep
	s.PeerQueryMaj23SleepDuration = time.Second
}

func joinPeers(peers []string) string {
	out := ""
	for i, p := range peers {
		if i > 0 {
			out += ","
		}
		out += p
	}
	return out
}
