package warp

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
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
// which. The programs that it starts are not told.
var Inside = sync.OnceValues(func() (Place, bool) {
	text, ok := os.LookupEnv(insideEnv)
	if !ok {
		return Place{}, false
	}
	_ = os.Unsetenv(insideEnv) // cannot fail with a valid name
	var p Place
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return Place{}, false
	}
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
