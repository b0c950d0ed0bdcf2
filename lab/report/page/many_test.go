package page_test

import (
	"fmt"
	"testing"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// What a run can have many of besides packets does not make its page larger
// than 2 MB either.
func TestManyOfAKind(t *testing.T) {
	const many = 20_000
	for name, add := range map[string]func(r *record.Record, i int, at int64){
		"connections": func(r *record.Record, i int, at int64) {
			local := fmt.Sprintf("10.0.0.1:%d", 1024+i)
			for n, to := range []string{"SYN_SENT", "ESTABLISHED", "FIN_WAIT1", "FIN_WAIT2", "CLOSE"} {
				from := []string{"CLOSE", "SYN_SENT", "ESTABLISHED", "FIN_WAIT1", "FIN_WAIT2"}[n]
				r.Events = append(r.Events, record.Event{
					Time: at + int64(n), Host: "client", Source: record.Socket, Kind: record.KindState, Boot: 1,
					State: &record.State{Local: local, Remote: "10.0.0.2:9998", From: from, To: to, Sock: uint64(10 + i)},
				})
			}
		},
		"retransmissions": func(r *record.Record, i int, at int64) {
			r.Events = append(r.Events, record.Event{
				Time: at, Host: "client", Source: record.TCP, Kind: record.KindRetransmit, Boot: 1,
				TCP: &record.TCPEvent{Local: "10.0.0.1:42158", Remote: "10.0.0.2:9998", State: "ESTABLISHED", RTO: 204e6, Retransmits: 1 + i, Sock: 2},
			})
		},
		"programs": func(r *record.Record, i int, at int64) {
			r.Events = append(r.Events, record.Event{
				Time: at, Host: "server", Source: record.Process, Kind: record.KindExec, PID: 100 + i, Comm: fmt.Sprintf("p%c%c%c", 'a'+i%26, 'a'+i/26%26, 'a'+i/676%26), Boot: 1,
				Process: &record.ProcEvent{Argv: []string{fmt.Sprintf("p%c%c%c", 'a'+i%26, 'a'+i/26%26, 'a'+i/676%26)}},
			})
		},
		"steps": func(r *record.Record, i int, at int64) {
			r.Events = append(r.Events, record.Event{Time: at, Host: "client", Source: record.Step, Kind: "type", Text: fmt.Sprint("the user types: ", i)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := fixtures(t)["crash"]
			begin := r.Duration
			for i := range many {
				add(r, i, begin+int64(i)*100_000)
			}
			r.Duration = begin + many*100_000
			record.Sort(r.Events)
			if size := len(write(t, r)); size > 2_000_000 {
				t.Errorf("%d octets", size)
			}
		})
	}
}
