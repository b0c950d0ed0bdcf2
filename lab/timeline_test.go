package lab

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/record"
)

// A timeline that is bounded drops what is oldest, and who has looked up to
// there goes on with what is left.
func TestTimelineBounded(t *testing.T) {
	const keep, all = 2 * chunkSize, 10*chunkSize + 7
	line := timeline{keep: keep}
	var behind, along cursor
	seen := 0
	for i := range all {
		line.observe(record.Event{Time: int64(i)})
		if i == chunkSize/2 {
			line.rest(&behind)
		}
		for _, piece := range line.rest(&along) {
			seen += len(piece)
		}
	}
	if seen != all {
		t.Errorf("who looked each time saw %d of %d", seen, all)
	}
	events := line.all()
	if n := len(events); n < keep || n >= keep+chunkSize || line.forgotten()+n != all {
		t.Fatalf("%d events are kept, %d not", n, line.forgotten())
	}
	next := int64(line.forgotten())
	for _, piece := range line.rest(&behind) {
		for i := range piece {
			if piece[i].Time != next {
				t.Fatalf("after a while: event %d, not %d", piece[i].Time, next)
			}
			next++
		}
	}
	if next != all || len(line.rest(&behind)) > 0 || line.latest != all-1 {
		t.Errorf("after a while up to event %d of %d, the latest is %d", next, all, line.latest)
	}
	if n := len(line.copied(func(*record.Event) bool { return true })); n != len(events) || line.dropped() > 0 {
		t.Errorf("%d copied, %d dropped", n, line.dropped())
	}
}

// What a process is called is known as long as it runs, though its beginning is not
// kept.
func TestTimelineNames(t *testing.T) {
	line := timeline{keep: chunkSize}
	process := func(pid int, kind string) record.Event {
		return record.Event{Host: "server", PID: pid, Source: record.Process, Kind: kind, Comm: "exe", Process: &record.ProcEvent{Argv: []string{"echo-server"}}}
	}
	line.add(process(7, record.KindExec))
	line.add(process(8, record.KindExec))
	line.add(process(8, record.KindExit))
	for range 3 * chunkSize {
		line.add(record.Event{})
	}
	if names := line.oldNames(); len(names) != 1 {
		t.Errorf("known are %v", names)
	}
	events := []record.Event{process(7, record.KindExit), process(8, record.KindExit)}
	if nameProcesses(events, line.oldNames()); events[0].Comm != "echo-server" || events[1].Comm != "exe" {
		t.Errorf("named %q and %q", events[0].Comm, events[1].Comm)
	}
	if e := line.named(process(7, record.KindExit)); e.Comm != "echo-server" {
		t.Errorf("named %q", e.Comm)
	}
}

// Who waits is told of every event, though chunks go meanwhile.
func TestTimelineBoundedAwait(t *testing.T) {
	line := timeline{keep: 1}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const last = 5 * chunkSize
	done := make(chan error)
	go func() {
		done <- line.await(ctx, func(events []record.Event) bool {
			return len(events) > 0 && events[len(events)-1].Time == last
		})
	}()
	for i := range last + 1 {
		line.add(record.Event{Time: int64(i)})
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// What comes while somebody looks is looked at, though the wait ends meanwhile.
func TestTimelineAwaitEnds(t *testing.T) {
	errOver := errors.New("over")
	for range 100 {
		var line timeline
		ctx, end := context.WithCancelCause(t.Context())
		var seen []int64
		look := func(events []record.Event) bool {
			if len(seen) == 0 && len(events) == 0 {
				line.add(record.Event{Time: 1})
				end(errOver)
			}
			for _, e := range events {
				seen = append(seen, e.Time)
				line.add(record.Event{Time: e.Time + 1}) // too late
			}
			return false
		}
		if err := line.await(ctx, look); !errors.Is(err, errOver) || !slices.Equal(seen, []int64{1}) {
			t.Fatalf("seen %d, %v; want what came at 1, and the cause", seen, err)
		}
	}
}

// More than a run may have is no matter where only the last is kept.
func TestTimelineBoundedForever(t *testing.T) {
	line := timeline{keep: chunkSize}
	for range maxEvents + chunkSize {
		line.observe(record.Event{})
	}
	if line.dropped() != 0 || len(line.all()) < chunkSize {
		t.Errorf("%d dropped, %d kept", line.dropped(), len(line.all()))
	}
}
