package lab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-6fefc909/tcplab/lab/warp"
)

// tryMachines tries the virtual-time machines: none of it takes privileges.
func tryMachines(ctx context.Context, found func(Finding)) {
	found(tryTrace())
	found(tryLandlock())
	found(tryMachine(ctx, warp.Wanted{Engine: warp.UMLName}, "--warp by User-Mode Linux: the fast one"))
	// Cold: it leaves nothing in the cache.
	found(tryMachine(ctx, warp.Wanted{Engine: warp.QEMUName, Cold: true}, "--warp on the kernels of distributions"))
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

// tryLandlock tries what confines machines a second time.
func tryLandlock() Finding {
	f := Finding{Name: "Landlock", Lost: "a second bar between virtual-time machines and this one's files"}
	if err := warp.CheckLandlock(); err != nil {
		return f.lacking(err)
	}
	f.OK, f.Seen = true, "machines can write to their own directories only"
	return f
}

func tryMachine(ctx context.Context, w warp.Wanted, lost string) Finding {
	f := Finding{Name: "virtual time by " + w.Engine, Lost: lost, Machine: true}
	engine, err := warp.Choose(w)
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
