package labtest

// TB is what is needed of a *testing.T, *testing.B or *testing.F. ArtifactDir is
// used, too, where it has that as they have.
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
