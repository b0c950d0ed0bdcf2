package scenarios

import (
	"errors"
	"fmt"
	"strconv"

	"rsc.io/script"
)

// seeCommands say what must be seen.
func seeCommands() []command {
	return []command{
		{"expect", groupSee, script.CmdUsage{
			Summary: "wait for an event that must be seen",
			Args:    "[-after TIME] [-within TIME] [-by MODEL] [-since act|fault|seen|start] [-times N] [-told] WHO EVENT",
			Detail: []string{
				"The events are below. The event must come after -after and before -within, counted from -since: the last thing that the script did (act, the default), the first fault, the event that the last expectation saw, or the start of the run. Without -within it is waited for generously: 30 s, or as long as the prediction needs. The first that is not met ends the run.",
				"-by MODEL: the event must come when that rule of the kernel's says, counted from -since. -times N waits for the N-th such event. -told says that this event tells the program of its peer's end: it is waited for as long as the prediction says, and may be any of the errors that the kernel's rules leave.",
				"! expect -for TIME: no such event from -since on until TIME has passed; without -for, from -since until now. With -times, not as many.",
			},
		}, (*compiler).expect},
	}
}

func (c *compiler) expect(args []string) error {
	f := flags("expect")
	within, after, during := f.Duration("within", 0, ""), f.Duration("after", 0, ""), f.Duration("for", 0, "")
	since, times, told := f.String("since", "act", ""), f.Int("times", 1, ""), f.Bool("told", false, "")
	by := f.String("by", "", "")
	args, err := parse(f, args)
	if err != nil {
		return err
	}
	if len(args) < 2 {
		return script.ErrUsage
	}
	x := Expect{line: c.line(), After: *after, Within: *within, Times: *times, Detection: *told, By: *by}
	x.Never, x.Optional = c.prefix() == "!", c.prefix() == "?"
	switch {
	case *within < 0 || *after < 0 || *during < 0 || *within > maxTime || *after > maxTime || *during > maxTime:
		return fmt.Errorf("a time must be between 0 and %v", maxTime)
	case x.Never && (*within != 0 || *after != 0 || *told || *by != ""):
		return errors.New("! expect wants -for TIME, and no window")
	case x.Never && *during <= 0 && *since == "act":
		return errors.New("! expect wants -for TIME; or -since, for all until now")
	case *by != "" && !known(Models(), *by):
		return fmt.Errorf("-by: no model %q: there are %s", *by, names(Models()))
	case *by != "" && (*within != 0 || *after != 0 || *told):
		return errors.New("-by says the window: no other, and no -told")
	case !x.Never && *during != 0:
		return errors.New("-for TIME is for ! expect")
	case *within > 0 && *after > *within, *within == 0 && *after > 0:
		return errors.New("-after wants a later -within")
	case *times < 1 || *times > 100_000:
		return fmt.Errorf("-times %d: between 1 and 100000", *times)
	}
	if x.Never {
		x.Within = *during
	}
	switch *since {
	case "act":
	case "fault":
		x.Since = SinceFault
		if !c.zero {
			return errors.New("-since fault: there was none yet")
		}
	case "seen":
		x.Since = SinceSeen
	case "start":
		x.Since = SinceStart
	default:
		return fmt.Errorf("-since %q: there are act, fault, seen, start", *since)
	}
	if x.Detection && !c.zero {
		return errors.New("-told: there was no fault yet")
	}
	x.Event, err = c.event(args)
	if err != nil {
		return err
	}
	return c.add(x)
}

func number(s string, most int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%q is no number between 0 and %d", s, most)
	}
	return n, nil
}
