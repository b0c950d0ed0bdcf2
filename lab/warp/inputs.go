package warp

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"io"
)

// umlSource is the version of Debian's package linux-source-6.12 that the
// patch is known to fit.
const umlSource = "6.12.117-1~deb12u1"

// What a User-Mode Linux kernel is made of, beside Debian's source.
var (
	//go:embed kernel/uml.config
	umlConfig string
	//go:embed kernel/uml.patch
	umlPatch string
	//go:embed kernel/build
	umlBuild string
)

// umlKey names the kernel that is built from a version of Debian's source: it
// differs wherever anything that went in does.
func umlKey(source string) string {
	h := sha256.New()
	for _, part := range []string{source, umlConfig, umlPatch, umlBuild} {
		io.WriteString(h, part)
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}
