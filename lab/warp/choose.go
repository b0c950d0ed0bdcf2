package warp

import (
	"fmt"
	"os"
)

// Choose finds an engine: that of the name, or for "" uml if it is there, and
// else qemu. The error wraps ErrNoEngine if there is none.
func Choose(name string) (Engine, error) {
	switch name {
	case "", UMLName:
		kernel := os.Getenv("LAB_WARP_KERNEL")
		if kernel == "" {
			return nil, fmt.Errorf("%w: LAB_WARP_KERNEL is not set", ErrNoEngine)
		}
		return NewUML(kernel)
	}
	return nil, fmt.Errorf("engine %q: there are uml, qemu", name)
}
