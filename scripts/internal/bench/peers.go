package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-6fefc909/tcplab/topology"
)

// The names under which this program is the ends of the traffic. Both use
// blocking system calls only, like a program in C.
const (
	serverName = "bench-server"
	clientName = "bench-client"
	port       = 9998

	echoSize = 64
	bulkSize = 64 << 10
)

// traffic runs a server and a client, and gives the number that the client prints.
func traffic(n *topology.Network, kind, amount string) (float64, error) {
	ready, readyEnd, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer ready.Close()
	server, err := n.Server.Start(topology.Command{
		Path: topology.Self, Argv: []string{serverName, kind}, Stdout: readyEnd, Stderr: os.Stderr,
	})
	readyEnd.Close()
	if err != nil {
		return 0, err
	}
	if _, err := bufio.NewReader(ready).ReadString('\n'); err != nil {
		return 0, fmt.Errorf("wait for the server: %w", err)
	}
	result, resultEnd, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer result.Close()
	client, err := n.Client.Start(topology.Command{
		Path: topology.Self, Stdout: resultEnd, Stderr: os.Stderr,
		Argv: []string{clientName, kind, amount, n.Server.NIC.Address.Addr().String()},
	})
	resultEnd.Close()
	if err != nil {
		return 0, err
	}
	text, err := io.ReadAll(result)
	if err != nil {
		return 0, err
	}
	<-client.Done()
	<-server.Done()
	return strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
}

// runPeer does not return in a process that is an end of the traffic.
func runPeer() {
	var err error
	switch os.Args[0] {
	case serverName:
		err = serve(os.Args[1])
	case clientName:
		err = call(os.Args[1], os.Args[2], os.Args[3])
	default:
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[0], err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve answers one connection.
func serve(kind string) error {
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if err := unix.SetsockoptInt(l, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return fmt.Errorf("SO_REUSEADDR: %w", err)
	}
	if err := unix.Bind(l, &unix.SockaddrInet4{Port: port}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if err := unix.Listen(l, 1); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	fmt.Println("ready")
	conn, _, err := unix.Accept(l)
	if err != nil {
		return fmt.Errorf("accept: %w", err)
	}
	buf := make([]byte, bulkSize)
	for {
		n, err := unix.Read(conn, buf)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if n == 0 {
			return unix.Close(conn)
		}
		if kind == "echo" {
			if _, err := unix.Write(conn, buf[:n]); err != nil {
				return fmt.Errorf("write: %w", err)
			}
		}
	}
}

// call prints the median round trip in microseconds ("echo", amount round
// trips), or megabytes that reached the server in a second ("bulk", for amount
// seconds).
func call(kind, amount, address string) error {
	n, err := strconv.Atoi(amount)
	if err != nil {
		return err
	}
	var to unix.SockaddrInet4
	to.Port = port
	if _, err := fmt.Sscanf(address, "%d.%d.%d.%d", &to.Addr[0], &to.Addr[1], &to.Addr[2], &to.Addr[3]); err != nil {
		return fmt.Errorf("address %q: %w", address, err)
	}
	conn, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if err := unix.Connect(conn, &to); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	var result float64
	if kind == "echo" {
		result, err = trips(conn, n)
	} else {
		result, err = pour(conn, time.Duration(n)*time.Second)
	}
	if err != nil {
		return err
	}
	fmt.Println(result)
	return nil
}

func trips(conn, n int) (float64, error) {
	buf := make([]byte, echoSize)
	taken := make([]time.Duration, n)
	for i := range taken {
		began := time.Now()
		if _, err := unix.Write(conn, buf); err != nil {
			return 0, fmt.Errorf("write: %w", err)
		}
		for got := 0; got < echoSize; {
			k, err := unix.Read(conn, buf[got:])
			if err != nil {
				return 0, fmt.Errorf("read: %w", err)
			}
			if k == 0 {
				return 0, io.ErrUnexpectedEOF
			}
			got += k
		}
		taken[i] = time.Since(began)
	}
	slices.Sort(taken)
	return float64(taken[n/2].Nanoseconds()) / 1000, nil
}

// pour writes for a time and counts until the server has read it all and
// closed its end.
func pour(conn int, d time.Duration) (float64, error) {
	buf := make([]byte, bulkSize)
	began, total := time.Now(), 0
	for time.Since(began) < d {
		n, err := unix.Write(conn, buf)
		if err != nil {
			return 0, fmt.Errorf("write: %w", err)
		}
		total += n
	}
	if err := unix.Shutdown(conn, unix.SHUT_WR); err != nil {
		return 0, fmt.Errorf("shutdown: %w", err)
	}
	if _, err := unix.Read(conn, buf); err != nil {
		return 0, fmt.Errorf("read: %w", err)
	}
	return float64(total) / 1e6 / time.Since(began).Seconds(), nil
}
