// Package port finds free TCP ports for servers whose address must be known before they
// start and stay the same when they start again.
package port

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken below those that systems give to outgoing connections, so that no
// connection takes the port of a process that is being restarted.
const (
	first = 20_000
	last  = 32_000
	tries = 1_000
)

// Free returns n different addresses of a host, as host:port, that were free a moment
// ago.
func Free(host string, n int) ([]string, error) {
	var list []string
	for range tries {
		if len(list) == n {
			return list, nil
		}
		address := net.JoinHostPort(host, strconv.Itoa(first+rand.IntN(last-first)))
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue // taken
		}
		defer l.Close() // held until all are found, so that none comes twice
		list = append(list, address)
	}
	return nil, fmt.Errorf("port: no %d free ports of %s from %d to %d", n, host, first, last)
}
