package byhand

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/seed-6fefc909/tcplab/topology"
)

// namesDir is where iproute2 finds network namespaces by their names.
const namesDir = "/run/netns"

// netnsNames are the names of a lab's network namespaces for iproute2. They are
// symbolic links into proc(5): unlike a mount, a name holds no namespace. When that
// is gone it leads nowhere, until its process id is used again, and then into
// another's: names are removed with the lab, and those of a supervisor that was
// killed by Clean.
type netnsNames struct {
	lab  string
	mu   sync.Mutex // one makes or removes names at a time
	gone bool       // they are to be no more
}

// nameNetNS gives the names, and notes them in the directory, for who cleans up
// after a supervisor that could not.
func nameNetNS(d Dir, lab string, n *topology.Network) (*netnsNames, error) {
	names := &netnsNames{lab: lab}
	err := os.Mkdir(namesDir, 0o755)
	made := err == nil
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("name network namespaces: %w", err)
	}
	links := names.links(n)
	var all strings.Builder
	for link := range links {
		if _, err := os.Lstat(link); err == nil {
			return nil, usage(fmt.Errorf("name network namespaces: %s is there already", link), "take another --name")
		}
		fmt.Fprintln(&all, link)
	}
	if made {
		fmt.Fprintln(&all, namesDir)
	}
	if err := os.WriteFile(d.netns(lab), []byte(all.String()), 0o600); err != nil {
		if made {
			err = errors.Join(err, os.Remove(namesDir))
		}
		return nil, fmt.Errorf("name network namespaces: %w", err)
	}
	return names, names.renew(n)
}

// links are the names, and what they lead to.
func (names *netnsNames) links(n *topology.Network) map[string]string {
	links := map[string]string{}
	add := func(node, target string) { links[filepath.Join(namesDir, names.lab+"-"+node)] = target }
	for _, h := range n.Hosts() {
		add(h.Name, fmt.Sprintf("/proc/%d/ns/net", h.InitPID()))
	}
	if m := n.Middle(); m != nil {
		add(string(n.Path), pathOf(m))
	}
	return links
}

// end lets no name be made any more: they are about to be removed.
func (names *netnsNames) end() {
	if names == nil {
		return
	}
	names.mu.Lock()
	defer names.mu.Unlock()
	names.gone = true
}

// renew lets the names lead to the namespaces of the hosts' current boots.
func (names *netnsNames) renew(n *topology.Network) error {
	if names == nil {
		return nil
	}
	names.mu.Lock()
	defer names.mu.Unlock()
	if names.gone {
		return nil
	}
	var errs []error
	for link, target := range names.links(n) {
		if now, err := os.Readlink(link); err == nil && now == target {
			continue
		}
		if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		if err := os.Symlink(target, link); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("name network namespaces: %w", err)
	}
	return nil
}

// pathOf is where proc(5) has a namespace that this process alone holds.
func pathOf(n *topology.Namespace) string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.FD()) }
