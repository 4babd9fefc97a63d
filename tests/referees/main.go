// Checks a bundle with the code of Go's checksum database, which nobody of this project wrote.
//
//	referee FOLDER VKEY [EARLIER-CHECKPOINT]
//
// It opens the checkpoint with the key, proves each entry from the tiles, and checks every proof; with an earlier
// checkpoint, also that the log goes on from it. Anything wrong: a line that says what, and exit code 1.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

// folder reads tiles as C2SP tlog-tiles lays them out.
type folder string

func (f folder) Height() int { return height }

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, len(tiles))
	for i, tile := range tiles {
		// Go's own paths name the height as well: tile/8/0/000.
		path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", height), "tile/", 1)
		data, err := os.ReadFile(filepath.Join(string(f), path))
		if err != nil {
			return nil, err
		}
		if len(data) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s has %d bytes", path, len(data))
		}
		found[i] = data
	}
	return found, nil
}

// checkpoint opens a signed note and reads its three lines; tlog.ParseTree would insist on a first line of its own.
func checkpoint(path, vkey string) (tlog.Tree, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return tlog.Tree{}, err
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(raw, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	for _, signature := range opened.Sigs {
		// note takes base64 whose spare bits are set: one more spelling of the same signature.
		if _, err := base64.StdEncoding.Strict().DecodeString(signature.Base64); err != nil {
			return tlog.Tree{}, err
		}
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, errors.New("not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// entries calls check for every entry of a tree, with its index.
func entries(root string, size int64, check func(int64, []byte) error) error {
	for index := int64(0); index < size; {
		tile := tlog.Tile{H: height, L: 0, N: index >> height, W: int(min(size-index, 1<<height))}
		path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/0/", height), "tile/entries/", 1)
		raw, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			return err
		}
		for i := 0; i < tile.W; i++ {
			if len(raw) < 2 || len(raw) < 2+int(binary.BigEndian.Uint16(raw)) {
				return fmt.Errorf("%s is cut short", path)
			}
			length := int(binary.BigEndian.Uint16(raw))
			if err := check(index, raw[2:2+length]); err != nil {
				return err
			}
			raw, index = raw[2+length:], index+1
		}
		if len(raw) != 0 {
			return fmt.Errorf("%s has more than its entries", path)
		}
	}
	return nil
}

func min(a, b int64) int64 {
	if a < b {
		return a
	}
	return b
}

func referee(root, vkey string, earlier []string) error {
	tree, err := checkpoint(filepath.Join(root, "checkpoint"), vkey)
	if err != nil {
		return err
	}
	hashes := tlog.TileHashReader(tree, folder(root))
	err = entries(root, tree.N, func(index int64, entry []byte) error {
		proof, err := tlog.ProveRecord(tree.N, index, hashes)
		if err != nil {
			return err
		}
		return tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry))
	})
	if err != nil {
		return err
	}
	for _, path := range earlier {
		older, err := checkpoint(path, vkey)
		if err != nil {
			return err
		}
		proof, err := tlog.ProveTree(tree.N, older.N, hashes)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, older.N, older.Hash); err != nil {
			return err
		}
	}
	fmt.Println(tree.N)
	return nil
}

func main() {
	if len(os.Args) < 3 {
		fmt.Println("referee FOLDER VKEY [EARLIER-CHECKPOINT]")
		os.Exit(2)
	}
	if err := referee(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
