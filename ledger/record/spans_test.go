package record

import (
	"errors"
	"slices"
	"testing"
)

func TestSpans(t *testing.T) {
	s, err := Spans(nil).Open(5)
	if err != nil || !s.Current() || s.At(4) || !s.At(5) || !s.At(1<<40) {
		t.Fatalf("%v, %v", s, err)
	}
	if _, err := s.Open(9); !errors.Is(err, ErrSpans) {
		t.Error("opened twice")
	}
	if s, err = s.Close(8); err != nil || s.Current() || !s.At(7) || s.At(8) {
		t.Fatalf("%v, %v", s, err)
	}
	if _, err := s.Close(9); !errors.Is(err, ErrSpans) {
		t.Error("closed twice")
	}
	if _, err := s.Open(7); !errors.Is(err, ErrSpans) {
		t.Error("opened in the past")
	}
	again, err := s.Open(8)
	if err != nil || !slices.Equal(again, Spans{{From: 5}}) {
		t.Errorf("went on: %v, %v", again, err)
	}
	later, err := s.Open(9)
	if err != nil || !slices.Equal(later, Spans{{5, 8}, {9, 0}}) || later.At(8) {
		t.Errorf("came back: %v, %v", later, err)
	}
	if gone, err := later.Close(9); err != nil || !slices.Equal(gone, s) {
		t.Errorf("an empty span stays: %v, %v", gone, err)
	}
	if !slices.Equal(s, Spans{{5, 8}}) {
		t.Errorf("changed in place: %v", s)
	}
}

// TestSpansLimit: MaxSpans and one more.
func TestSpansLimit(t *testing.T) {
	var s Spans
	for i := range uint64(MaxSpans) {
		var err error
		if s, err = s.Open(10 * i); err != nil {
			t.Fatal(err)
		}
		if i < MaxSpans-1 {
			if s, err = s.Close(10*i + 5); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := ParseSpans(s.Encode()); err != nil {
		t.Error(err)
	}
	s, err := s.Close(1 << 30)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(1 << 31); !errors.Is(err, ErrSpans) {
		t.Error("one too many")
	}
	if _, err := ParseSpans(append(s, Span{From: 1 << 31}).Encode()); !errors.Is(err, ErrMalformed) {
		t.Error("one too many parsed")
	}
}

func TestSpansOrder(t *testing.T) {
	for _, bad := range []Spans{{}, {{5, 5}}, {{5, 4}}, {{5, 0}, {7, 0}}, {{5, 7}, {7, 0}}, {{5, 8}, {7, 0}}, {{1 << 63, 0}}} {
		if _, err := ParseSpans(bad.Encode()); !errors.Is(err, ErrMalformed) {
			t.Errorf("%v parsed", bad)
		}
	}
}
