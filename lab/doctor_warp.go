package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/warp"
)

// tryMachines tries the virtual-time machines: none of it takes privileges.
func tryMachines(ctx context.Context) []Finding {
	return []Finding{tryTrace(), tryMachine(ctx, warp.UMLName, "--warp by User-Mode Linux")}
}

// tryTrace tries what User-Mode Linux runs its programs by.
func tryTrace() Finding {
	f := Finding{Name: "ptrace", Lost: "--warp by User-Mode Linux"}
	if err := warp.CheckTrace(); err != nil {
		return f.lacking(err)
	}
	f.OK, f.Seen = true, "a child was traced"
	return f
}

func tryMachine(ctx context.Context, name, lost string) Finding {
	f := Finding{Name: "virtual time by " + name, Lost: lost, Machine: true}
	engine, err := warp.Choose(warp.Wanted{Engine: name})
	if err != nil {
		return f.lacking(err)
	}
	r, err := warp.Try(ctx, engine)
	if err != nil {
		return f.lacking(fmt.Errorf("%s: %w", engine.Kernel(), err))
	}
	f.OK, f.Seen = true, fmt.Sprintf("a machine of %s ran a program in %v", engine.Kernel(), r.Wall.Round(time.Millisecond))
	return f
}

// lacking is the finding with what went wrong.
func (f Finding) lacking(err error) Finding {
	f.Seen, f.Get = err.Error(), "see what is said above; lab warp setup checks the kernel that it built"
	if lack, ok := errors.AsType[*warp.LackError](err); ok {
		f.Get = lack.Hint
	}
	return f
}
