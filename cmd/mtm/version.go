package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"mtmledger/testnet"
)

// version is the release this source is on the way to; CHANGELOG.md lists them.
const version = "0.1.0-dev"

func newVersion() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "version", Short: "Print the version of this program",
		Example: "  mtm version --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := struct {
				Version  string `json:"version"`
				Revision string `json:"revision,omitempty"`
				Go       string `json:"go"`
				Platform string `json:"platform"`
				Manifest int    `json:"manifest_version"`
			}{version, revision(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, testnet.ManifestVersion}
			return report(cmd, asJSON, v, fmt.Sprintf("mtm %s %s (%s, %s)", v.Version, v.Revision, v.Go, v.Platform))
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// revision is the commit this program was built from, where the build knows it.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
