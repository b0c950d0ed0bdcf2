package warp

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/seed-6fefc909/tcplab/internal/virtualtime"
)

// insideEnv is the variable of a job's environment that tells what machine it
// is in.
const insideEnv = "LAB_MACHINE"

// A Place says what machine a command is in.
type Place struct {
	Engine string `json:"engine"`
	Seed   uint64 `json:"seed"`
	Wanted Wanted `json:"wanted"` // how it was asked for
}

// Inside tells whether this process runs in a virtual-time machine, and in
// which: that it does, the kernel says. The programs that it starts are told no
// more than that; what they start knows no seed, then.
var Inside = sync.OnceValues(func() (Place, bool) {
	text := os.Getenv(insideEnv)
	_ = os.Unsetenv(insideEnv) // cannot fail with a valid name
	if !virtualtime.On() {
		return Place{}, false
	}
	p := Place{Engine: virtualtime.Engine()}
	_ = json.Unmarshal([]byte(text), &p) // it may have been taken away
	return p, true
})

// tell adds to a job's environment where it will be.
func (j Job) tell(p Place) Job {
	p.Seed = j.Seed
	b, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("describe a machine: %v", err)) // two strings and a number
	}
	env := make([]string, 0, len(j.Env)+1)
	for _, v := range j.Env {
		if !strings.HasPrefix(v, insideEnv+"=") {
			env = append(env, v)
		}
	}
	j.Env = append(env, insideEnv+"="+string(b))
	return j
}
