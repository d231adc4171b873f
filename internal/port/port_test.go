package port

import (
	"net"
	"strconv"
	"testing"
)

func TestFree(t *testing.T) {
	list, err := Free("127.0.0.1", 20)
	if err != nil || len(list) != 20 {
		t.Fatalf("%v, %v", list, err)
	}
	for _, address := range list { // all at once: no two are the same
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, p, err := net.SplitHostPort(address)
		if n, _ := strconv.Atoi(p); err != nil || n < first || n >= last {
			t.Errorf("%s, %v", address, err)
		}
	}
	if list, err := Free("192.0.2.1", 1); err == nil {
		t.Errorf("%v of a host that is not this machine", list)
	}
	if list, err := Free("127.0.0.1", 0); err != nil || len(list) != 0 {
		t.Errorf("none: %v, %v", list, err)
	}
}
