package sensors

import (
	"context"
	"encoding/json"
	"testing"
)

func TestAll(t *testing.T) {
	all := All(context.Background())
	seen := map[string]bool{}
	streams := map[string]bool{}
	for _, s := range all {
		if streams[s.Stream] {
			t.Errorf("stream %s twice", s.Stream)
		}
		streams[s.Stream], seen[s.Device] = true, true
		raw, err := s.Sample(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		var object map[string]any
		if err := json.Unmarshal(raw, &object); err != nil || len(object) == 0 {
			t.Errorf("%s: %q is no object with fields: %v", s.Stream, raw, err)
		}
	}
	for _, d := range Devices() {
		if !seen[d] {
			t.Errorf("device %s has no sensor here", d)
		}
	}
	if len(seen) != len(Devices()) {
		t.Errorf("devices %v, want %v", seen, Devices())
	}
}
