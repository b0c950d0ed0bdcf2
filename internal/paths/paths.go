// Package paths holds what is asked about paths in more than one place.
package paths

import (
	"os"
	"path/filepath"
)

// Rooted is a path as seen from a directory.
func Rooted(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

// IsDir tells whether a directory, or a link to one, is there.
func IsDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
