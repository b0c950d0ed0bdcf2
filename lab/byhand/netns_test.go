package byhand

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/seed-6fefc909/tcplab/internal/testenv"
	"github.com/seed-6fefc909/tcplab/topology"
)

// A step that is over only when the names have been removed does not bring them
// back.
func TestNetNSEnd(t *testing.T) {
	testenv.NeedRoot(t)
	d := newDir(t)
	if err := d.make(); err != nil {
		t.Fatal(err)
	}
	session, err := Config{Name: "netns-end", Path: topology.Direct}.open()
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	names, err := nameNetNS(d, "netns-end", session.Network())
	if err != nil {
		t.Fatal(err)
	}
	links := names.links(session.Network())
	for link := range links {
		if _, err := os.Lstat(link); err != nil {
			t.Error(err)
		}
	}
	names.end()
	if err := d.release("netns-end"); err != nil {
		t.Error(err)
	}
	if err := names.renew(session.Network()); err != nil {
		t.Error(err)
	}
	for link := range links {
		if _, err := os.Lstat(link); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there again: %v", link, err)
			_ = os.Remove(link)
		}
	}
}
