package main

import (
	"fmt"
	"os/exec"
	"time"

	"github.com/seed-6fefc909/tcplab/topology"
)

// networkCount is how many networks are made in each way.
const networkCount = 30

// pause lets the kernel clear away what came before, which it does after the
// command has returned: neither way is to pay for the other.
const pause = 150 * time.Millisecond

// shellNetwork is what one would type to have the same network: two hosts at
// a switch. It is spared what topology does besides: hosts with processes of
// their own, silence of IPv6, the wait until every link is up.
const shellNetwork = `set -e
ip netns add switch
ip netns add client
ip netns add server
ip -n switch link set lo up
ip -n switch link add br0 type bridge
ip -n switch link set br0 up
i=1
for host in client server; do
	ip -n switch link add $host type veth peer name eth0 netns $host
	ip -n switch link set $host master br0 up
	ip -n $host link set lo up
	ip -n $host addr add 10.0.0.$i/24 dev eth0
	ip -n $host link set eth0 up
	i=$((i + 1))
done
ip netns del client
ip netns del server
ip netns del switch
`

// networks measures how long a network of two hosts and a switch takes to
// come and to go, beside the same made by ip from a shell.
func networks() ([]row, error) {
	var ours, shell sample
	for range networkCount {
		time.Sleep(pause)
		began := time.Now()
		n, err := topology.New(topology.Config{Path: topology.Switch})
		if err != nil {
			return nil, err
		}
		if err := n.Close(); err != nil {
			return nil, err
		}
		ours = append(ours, time.Since(began).Seconds()*1000)

		time.Sleep(pause)
		began = time.Now()
		if out, err := exec.Command("sh", "-c", shellNetwork).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("ip netns: %w: %s", err, out)
		}
		shell = append(shell, time.Since(began).Seconds()*1000)
	}
	return []row{{
		figure: "network up and down", unit: "ms",
		measured: ours, base: shell, baseline: "ip netns from a shell", ratio: under,
		budget: ">= 3 x faster", satisfied: func(_, ratio float64) bool { return ratio >= 3 },
	}}, nil
}
