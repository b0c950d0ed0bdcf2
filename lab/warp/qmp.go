package warp

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// A qmp is the conversation with a QEMU (docs/interop/qmp-spec.txt).
type qmp struct {
	conn    *os.File
	in      *json.Decoder
	greeted bool // whether it takes commands
}

// newQMP gives one, and the other end for QEMU, which the caller closes when
// QEMU has it. When QEMU ends, what waits for it gets io.EOF.
func newQMP() (_ *qmp, theirs *os.File, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make QMP socket: %w", err)
	}
	ours := os.NewFile(uintptr(pair[0]), "qmp")
	return &qmp{conn: ours, in: json.NewDecoder(ours)}, os.NewFile(uintptr(pair[1]), "qemu"), nil
}

func (q *qmp) close() { q.conn.Close() }

// A qmpMessage is a command's answer, or an event.
type qmpMessage struct {
	Event  string
	Data   struct{ Status string }
	Return json.RawMessage
	Error  *struct{ Desc string }
}

// do has a command performed and waits for its answer. Events before that are
// lost.
func (q *qmp) do(command string, arguments any) error {
	if !q.greeted {
		q.greeted = true
		if err := q.do("qmp_capabilities", nil); err != nil {
			return err
		}
	}
	b, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
	}{command, arguments})
	if err != nil {
		return err
	}
	if _, err := q.conn.Write(b); err != nil {
		return fmt.Errorf("tell QEMU to %s: %w", command, err)
	}
	for {
		var m qmpMessage
		if err := q.in.Decode(&m); err != nil {
			return fmt.Errorf("tell QEMU to %s: %w", command, err)
		}
		if m.Error != nil {
			return fmt.Errorf("tell QEMU to %s: %s", command, m.Error.Desc)
		}
		if m.Return != nil {
			return nil
		}
	}
}

// await waits for an event whose status, if it has one, is not one of those
// on the way, and gives the status.
func (q *qmp) await(event string, onTheWay ...string) (status string, err error) {
	for {
		var m qmpMessage
		if err := q.in.Decode(&m); err != nil {
			return "", fmt.Errorf("wait for QEMU's %s: %w", event, err)
		}
		if m.Event == event && !slices.Contains(onTheWay, m.Data.Status) {
			return m.Data.Status, nil
		}
	}
}

// migration are QEMU's capabilities for saving a machine whose memory is a
// file already.
func (q *qmp) migration() error {
	type capability struct {
		Capability string `json:"capability"`
		State      bool   `json:"state"`
	}
	return q.do("migrate-set-capabilities", map[string]any{
		"capabilities": []capability{{"x-ignore-shared", true}, {"events", true}},
	})
}

// migrated waits for the end of saving or restoring.
func (q *qmp) migrated() error {
	status, err := q.await("MIGRATION", "setup", "active", "device", "wait-unplug", "pre-switchover")
	if err != nil {
		return err
	}
	if status != "completed" {
		return fmt.Errorf("migration: %s", status)
	}
	return nil
}
