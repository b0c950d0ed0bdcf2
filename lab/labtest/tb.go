package labtest

// TB is what is needed of a *testing.T, *testing.B or *testing.F. Where it has
// ArtifactDir and Context, as those have, they are used, too.
type TB interface {
	Helper()
	Name() string
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
	Failed() bool
	Cleanup(func())
}
