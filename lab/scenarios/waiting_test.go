package scenarios_test

import (
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/scenarios"
)

func TestWaiting(t *testing.T) {
	for _, c := range []struct {
		expect scenarios.Expect
		want   string
	}{
		{scenarios.Expect{Event: scenarios.Pattern{Who: "client", What: scenarios.Call, Call: "read", Result: "EOF"}}, "waiting for the client's read() to return EOF"},
		{scenarios.Expect{Event: scenarios.Pattern{Who: "client", What: scenarios.Call, Call: "read"}, Never: true, Within: 3 * time.Second}, "for 3s the client's read() is not to return"},
		{scenarios.Expect{Event: scenarios.Pattern{Who: "client", What: scenarios.Retransmits}, Never: true}, "the client's TCP was not to send again"},
		{scenarios.Expect{Event: scenarios.Pattern{Who: "client", What: scenarios.Blocked, Call: "read", Input: true}}, "waiting for the client's read() of standard input to block"},
		{scenarios.Expect{Event: scenarios.Pattern{Who: "client", What: scenarios.Sends, Packet: "probe"}, Times: 3}, "waiting for the client to send: probe, 3 times"},
		{scenarios.Expect{Event: scenarios.Pattern{Who: "server", What: scenarios.Socket, State: "LISTEN"}}, "waiting for the server's socket to be in LISTEN"},
		{scenarios.Expect{Event: scenarios.Pattern{Who: "server", What: scenarios.Socket, State: scenarios.NoSocket}}, "waiting for the server's connection to be in no socket table any more"},
		{scenarios.Expect{Event: scenarios.Pattern{Who: "second", What: scenarios.Prints, Text: "hello"}}, "waiting for second to print: hello"},
		{scenarios.Expect{Event: scenarios.Pattern{Who: "client", What: scenarios.Exits, End: "SIGPIPE"}}, "waiting for the client to end with SIGPIPE"},
		{scenarios.Expect{Event: scenarios.Pattern{Who: "server", What: scenarios.Zombies, Number: 3}}, "waiting for the server to have 3 zombies"},
	} {
		if got := c.expect.Waiting(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
