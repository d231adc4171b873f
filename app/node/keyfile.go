package node

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	cmtjson "github.com/cometbft/cometbft/libs/json"
	"github.com/cometbft/cometbft/privval"

	"mtmledger/internal/disk"
)

// A consensus key is made once, its public part is voted in by others, and it then
// signs blocks: a home must not lose it in a power loss, or take back a change of it.
// CometBFT writes keys without syncing the folder, so the names are ours to keep.

// makeKeyFiles writes a new consensus key and the state of what it signed. The key
// comes last: one without a state is refused, because it may have signed anything.
func makeKeyFiles(f disk.FS, keyFile, stateFile string) error {
	pv := privval.GenFilePV(keyFile, stateFile)
	if err := writeJSON(f, stateFile, pv.LastSignState); err != nil {
		return err
	}
	return writeJSON(f, keyFile, pv.Key)
}

// nextKeyBytes returns the file of a home's next key, which is made if missing. What it
// returns survives a power loss.
func nextKeyBytes(f disk.FS, file string) ([]byte, error) {
	b, err := f.ReadFile(file)
	switch {
	case err == nil: // the process that made it may have been killed before it synced
		return b, f.SyncDir(filepath.Dir(file))
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if err := writeJSON(f, file, privval.GenFilePV(file, "").Key); err != nil {
		return nil, err
	}
	return f.ReadFile(file)
}

// replaceKey puts a home's next key in place of its own, of which a copy stays under the
// name kept.
func replaceKey(f disk.FS, file, next, kept string) error {
	own, err := f.ReadFile(file)
	if err != nil {
		return err
	}
	if err := disk.WriteFile(f, kept, own); err != nil {
		return fmt.Errorf("keep the old key: %w", err)
	}
	return disk.Move(f, next, file)
}

// writeJSON writes a file in CometBFT's form of JSON.
func writeJSON(f disk.FS, file string, v any) error {
	b, err := cmtjson.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return disk.WriteFile(f, file, append(b, '\n'))
}
