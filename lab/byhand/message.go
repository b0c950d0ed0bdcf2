package byhand

import (
	"time"

	"github.com/seed-6fefc909/tcplab/lab"
	"github.com/seed-6fefc909/tcplab/lab/record"
	"github.com/seed-6fefc909/tcplab/lab/report"
)

// An op is what is asked of a supervisor.
type op string

const (
	opStatus op = "status" // Status
	opExec   op = "exec"   // admission, with the host's door; then notes, done, and ended
	opDo     op = "do"     // did, when the line was performed
	opWatch  op = "watch"  // Piece, until the connection ends
	opAwait  op = "await"  // lab.Seen, when it was seen
	opRecord op = "record" // begun, when the recording has
	opStop   op = "stop"   // Recorded; then done is said when that is saved, and answered
	opDown   op = "down"   // done, when the lab is down
)

// A request is the first line of a conversation.
type request struct {
	Version int      `json:"version"`
	Op      op       `json:"op"`
	Exec    *exec    `json:"exec,omitempty"`
	Line    string   `json:"line,omitempty"` // do: of a scenario
	Watch   *Watch   `json:"watch,omitempty"`
	Await   *awaited `json:"await,omitempty"`
	Out     string   `json:"out,omitempty"` // record: where it is to be written
}

// An answer is a line of a supervisor's.
type answer struct {
	Error *Error `json:"error,omitempty"` // the last line
	Body  any    `json:"body,omitempty"`  // to hear one, a pointer to what it is
}

// exec is a program to run.
type exec struct {
	Host string   `json:"host"`
	User string   `json:"user"` // whose it is, for the record
	Argv []string `json:"argv"`
}

// An admission lets a program in; the host's door comes with it.
type admission struct {
	Argv []string `json:"argv"` // as exec's, filled in
}

// A note is what who runs a program tells the supervisor of it.
type note struct {
	PID    int `json:"pid,omitempty"` // it was started; answered by done
	Signal int `json:"signal,omitempty"`
}

// did is what a line did, moment by moment.
type did struct {
	Did []string `json:"did"`
}

// An ended is how a program ended.
type ended struct {
	Status int    `json:"status"` // its exit status, or 128 and the signal's number
	Signal string `json:"signal,omitempty"`
	// Gone says why it was ended with its host; "" if it was not.
	Gone string `json:"gone,omitempty"`
}

// awaited is an event to wait for, as lab.Session.Await has it.
type awaited struct {
	Event string    `json:"event"`
	Since lab.Since `json:"since"`
}

// Watch says how the timeline is to be told.
type Watch struct {
	// Lines: an event a line, as JSON; else text for the screen.
	Lines  bool          `json:"lines,omitempty"`
	Screen report.Screen `json:"screen"`
	// All: from the beginning of what is kept; else from now.
	All bool `json:"all,omitempty"`
}

// A Piece is what came since the last one.
type Piece struct {
	Text  string        `json:"text,omitempty"`
	Lines []report.Line `json:"lines,omitempty"`
}

// begun tells of a recording that has begun.
type begun struct {
	// Warning says what is not observed.
	Warning string `json:"warning,omitempty"`
}

// Recorded is a recording that has ended.
type Recorded struct {
	Recording
	Record   *record.Record    `json:"record"`
	Captures []*record.Capture `json:"captures"`
	// Warning says what is not observed of what came after it.
	Warning string `json:"warning,omitempty"`
}

// A Recording is one that goes on, or that has ended and nobody has saved yet.
type Recording struct {
	Since time.Time `json:"since"`
	Out   string    `json:"out,omitempty"` // where it was to be written, when it began
	// Events were observed so far, of those that there is Room for.
	Events int `json:"events"`
	Room   int `json:"room"`
}
