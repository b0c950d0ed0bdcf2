package topology

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

func TestArgumentsCross(t *testing.T) {
	for _, a := range []arguments{
		{},
		{path: "/bin/true", dir: "/", argv: []string{"true"}},
		{path: "/bin/true", argv: []string{"true", ""}, env: []string{"", "A=\xff\n", ""}},
		{path: "p", argv: []string{""}},
	} {
		f, err := a.pack()
		if err != nil {
			t.Fatal(err)
		}
		got, err := unpackArguments(int(f.Fd()), len(a.argv))
		if diff := cmp.Diff(a, got, cmp.AllowUnexported(arguments{}), cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Errorf("%v, of %q:\n%s", err, a, diff)
		}
		if _, err := unpackArguments(int(f.Fd()), len(a.argv)+len(a.env)+1); !errors.Is(err, unix.EBADMSG) {
			t.Errorf("with an argument too few: %v, want %v", err, unix.EBADMSG)
		}
		f.Close()
	}
	if _, err := (arguments{path: "a\x00b"}).pack(); !errors.Is(err, unix.EINVAL) {
		t.Errorf("NUL: %v, want %v", err, unix.EINVAL)
	}
}
