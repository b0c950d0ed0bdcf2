package labtest_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-6fefc909/tcplab/lab/labtest"
)

// The server's machine reboots while the client has an idle connection to it.
func TestRebootHTTP(t *testing.T) {
	t.Parallel()
	n := labtest.New(t, labtest.Options{})
	serve := func() {
		l, err := n.Server.Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "done")
		}))
	}
	client := &http.Client{Transport: &http.Transport{DialContext: n.Client.DialContext}}
	post := func() error {
		r, err := client.Post("http://server/order", "text/plain", strings.NewReader("one"))
		if err != nil {
			return err
		}
		defer r.Body.Close()
		_, err = io.Copy(io.Discard, r.Body)
		return err
	}

	serve()
	if err := post(); err != nil {
		t.Fatal(err)
	}
	n.Fault("reboot", n.Server)
	serve() // as its own init would, after a boot

	// The new kernel knows nothing of the old connection. A GET is sent again
	// by net/http; whether a POST may be is not for it to know.
	if err := post(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the first request after the reboot: %v, want ECONNRESET", err)
	}
	n.Expect("client receives RST")
	if err := post(); err != nil {
		t.Errorf("the second, over a new connection: %v", err)
	}
}
