// Package service runs a bridge as a process: the embedded or another broker
// before it, validators behind it, and a page on loopback that says how it is.
package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"mtmledger/internal/disk"
	"mtmledger/mqttbridge"
	"mtmledger/mqttbridge/broker"
	"mtmledger/testnet"
)

// Config says how a bridge runs.
type Config struct {
	Manifest *testnet.Manifest
	Ledger   mqttbridge.Ledger
	// External is the URL of another broker; empty: the embedded one.
	External string
	Verifier mqttbridge.Verifier // of a node in this process, or nil
	Logger   *slog.Logger
}

// Status is what the page says, and what `mtm status` shows.
type Status struct {
	Ready   bool              `json:"ready"`
	Missing string            `json:"missing,omitempty"` // what keeps it from being ready
	MQTT    string            `json:"mqtt"`              // address of the embedded broker, or URL of the other
	Counts  mqttbridge.Counts `json:"accounting"`
}

// Service is a bridge with what stands around it.
type Service struct {
	Bridge *mqttbridge.Bridge
	mqtt   string
	page   *http.Server
	listen net.Listener
}

// New makes a service. Run starts it.
func New(c Config) (*Service, error) {
	m := c.Manifest
	key, err := m.BridgeKey()
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	bc := mqttbridge.Config{
		Chain: m.Chain, Bridge: m.Bridge.ID, Key: key, Dir: m.Path(m.Bridge.Home, "data"), FS: disk.OS{},
		Ledger: c.Ledger, Verifier: c.Verifier, Logger: c.Logger, Registerer: registry,
	}
	s := &Service{mqtt: c.External}
	if c.External != "" {
		bc.External = &mqttbridge.External{URL: c.External}
	} else {
		b, err := broker.New(broker.Config{Address: m.Bridge.MQTT, Logger: c.Logger})
		if err != nil {
			return nil, fmt.Errorf("embedded broker: %w", err)
		}
		bc.Broker, s.mqtt = b, b.Addr().String()
	}
	if s.Bridge, err = mqttbridge.New(bc); err != nil {
		if bc.Broker != nil {
			bc.Broker.Close()
		}
		return nil, err
	}
	if s.listen, err = net.Listen("tcp", m.Bridge.HTTP); err != nil {
		if bc.Broker != nil {
			bc.Broker.Close()
		}
		return nil, errors.Join(fmt.Errorf("status page: %w", err), s.Bridge.Close())
	}
	s.page = &http.Server{Handler: s.pages(registry), ReadHeaderTimeout: 5 * time.Second}
	return s, nil
}

// MQTT is where devices connect.
func (s *Service) MQTT() string { return s.mqtt }

// Status is the state of this moment.
func (s *Service) Status() Status {
	out := Status{Ready: true, MQTT: s.mqtt, Counts: s.Bridge.Counts()}
	if err := s.Bridge.Ready(); err != nil {
		out.Ready, out.Missing = false, err.Error()
	}
	return out
}

// Run works until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.page.Serve(s.listen) }()
	err := s.Bridge.Run(ctx)
	_ = s.page.Close() // nobody is left to tell
	if page := <-served; !errors.Is(page, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("status page: %w", page))
	}
	return err
}

func (s *Service) pages(registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.Status()) })
	mux.HandleFunc("POST /replay", s.replay)
	return mux
}

// Replayed is the answer to a request for a replay.
type Replayed struct {
	Replayed int    `json:"replayed"`
	Error    string `json:"error,omitempty"`
}

// replay gives dead letters to the bridge again: those asked for, or all.
func (s *Service) replay(w http.ResponseWriter, r *http.Request) {
	var ids []uint64
	for _, text := range r.URL.Query()["id"] {
		id, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			http.Error(w, "id: want a number", http.StatusBadRequest)
			return
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		letters, err := s.Bridge.DeadLetters(math.MaxInt)
		if err != nil {
			answer(w, Replayed{Error: err.Error()})
			return
		}
		for _, l := range letters {
			ids = append(ids, l.ID)
		}
	}
	n, err := s.Bridge.Replay(r.Context(), ids...)
	out := Replayed{Replayed: n}
	if err != nil {
		out.Error = err.Error()
	}
	answer(w, out)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the asker has gone
}

// askTime bounds how long a running bridge may take to answer.
const askTime = 5 * time.Second

// Ask asks a running bridge for its status.
func Ask(ctx context.Context, address string) (Status, error) {
	var s Status
	err := call(ctx, http.MethodGet, "http://"+address+"/status", askTime, &s)
	return s, err
}

// AskReplay asks a running bridge to replay dead letters: all, or the given.
func AskReplay(ctx context.Context, address string, ids []uint64) (int, error) {
	url := "http://" + address + "/replay?"
	for _, id := range ids {
		url += "id=" + strconv.FormatUint(id, 10) + "&"
	}
	var out Replayed
	if err := call(ctx, http.MethodPost, url, time.Minute, &out); err != nil {
		return 0, err
	}
	if out.Error != "" {
		return out.Replayed, errors.New(out.Error)
	}
	return out.Replayed, nil
}

func call(ctx context.Context, method, url string, patience time.Duration, out any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("bridge: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("bridge: %s", resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(out)
}
