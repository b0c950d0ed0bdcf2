package warp

import "fmt"

// Choose finds an engine: that of the name, or for "" uml if it is there, and
// else qemu. The error wraps ErrNoEngine if there is none.
func Choose(name string) (Engine, error) {
	switch name {
	case "", UMLName:
		kernel, err := UMLKernel()
		if err != nil {
			return nil, err
		}
		return NewUML(kernel)
	case QEMUName:
		kernels, err := Kernels()
		if err != nil {
			return nil, err
		}
		if len(kernels) == 0 {
			return nil, fmt.Errorf("%w: no kernel for qemu was fetched", ErrNoEngine)
		}
		return NewQEMU(kernels[0].Image, kernels[0].Modules, false)
	}
	return nil, fmt.Errorf("engine %q: there are uml, qemu", name)
}
