package warp

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
)

// A Wanted says what machine is asked for. The zero value is for the one that
// is there: uml, or else qemu with the newest kernel that was fetched.
type Wanted struct {
	// Engine is "uml" or "qemu", "" for that of the kernel.
	Engine string `json:"engine,omitempty"`
	// Kernel is a file; or a version, as "6.1", of the kernels that were
	// fetched; or "uml" for User-Mode Linux.
	Kernel string `json:"kernel,omitempty"`
	// Modules is the directory of the modules of a kernel's file, "" for the
	// usual one.
	Modules string `json:"modules,omitempty"`
	// Cold: qemu is to boot each time, and not to go on from a copy.
	Cold bool `json:"cold,omitempty"`
}

// Choose finds an engine. The error wraps ErrNoEngine if what is asked for is
// not there.
func Choose(w Wanted) (Engine, error) {
	isUML := w.Kernel == UMLName || isPath(w.Kernel) && checkKernel(w.Kernel) == nil
	switch {
	case runtime.GOARCH != "amd64":
		return nil, &LackError{"the machines are for x86-64, and this is " + runtime.GOARCH, "run without --warp, as root"}
	case w.Engine != "" && w.Engine != UMLName && w.Engine != QEMUName:
		return nil, fmt.Errorf("engine %q: there are %s, %s", w.Engine, UMLName, QEMUName)
	case isUML && w.Engine == QEMUName:
		return nil, fmt.Errorf("the kernel %s is not for the engine qemu", w.Kernel)
	case w.Engine == UMLName || isUML:
		return chooseUML(w)
	case w.Engine == QEMUName || w.Kernel != "" || w.Modules != "" || w.Cold:
		return chooseQEMU(w)
	}
	uml, err := chooseUML(w)
	if !errors.Is(err, ErrNoEngine) {
		return uml, err
	}
	qemu, other := chooseQEMU(w)
	if other == nil {
		return qemu, nil
	}
	return nil, &LackError{fmt.Sprintf("no virtual-time machine: %v, and %v", err, other), getUML + "; " + elsewhere + ";\nor " + getQEMU}
}

func chooseUML(w Wanted) (Engine, error) {
	if w.Modules != "" || w.Cold {
		return nil, errors.New("modules, and a cold start, are for the engine qemu")
	}
	var kernel string
	var err error
	if w.Kernel == "" || w.Kernel == UMLName {
		kernel, err = UMLKernel()
	} else if err = checkKernel(w.Kernel); err == nil {
		kernel, err = filepath.Abs(w.Kernel)
	}
	if err != nil {
		return nil, err
	}
	u, err := NewUML(kernel)
	if err != nil {
		return nil, err
	}
	u.wanted = w
	return u, nil
}

func chooseQEMU(w Wanted) (Engine, error) {
	k := Kernel{Image: w.Kernel, Modules: w.Modules}
	var err error
	if !isPath(w.Kernel) {
		k, err = fetched(w.Kernel)
	} else if k.Image, err = filepath.Abs(w.Kernel); err == nil && w.Modules != "" {
		k.Modules, err = filepath.Abs(w.Modules)
	}
	if err != nil {
		return nil, err
	}
	q, err := NewQEMU(k.Image, k.Modules, w.Cold)
	if err != nil {
		return nil, err
	}
	q.wanted = w
	return q, nil
}

// fetched finds the newest kernel of a version, "" for any, that was fetched.
func fetched(version string) (Kernel, error) {
	kernels, err := Kernels()
	if err != nil {
		return Kernel{}, err
	}
	for _, k := range kernels {
		if rest, ok := strings.CutPrefix(k.Release, version); ok && (version == "" || rest == "" || !isDigit(rest[0])) {
			return k, nil
		}
	}
	if version != "" {
		return Kernel{}, &LackError{"no kernel " + version + " was fetched for qemu", "lab warp setup --kernel " + version}
	}
	return Kernel{}, &LackError{"no kernel was fetched for qemu", getQEMU}
}

// isPath tells a kernel's file from a version.
func isPath(kernel string) bool { return strings.Contains(kernel, "/") }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
