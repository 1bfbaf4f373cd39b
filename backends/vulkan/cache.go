//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"time"
)

// Compiled pipelines are kept in a file for each driver and device, so that a process need not compile what one
// before it has. The driver checks what it is given; a file that cannot be read or written is no error.

// cacheFile returns where, or "".
func (d *Device) cacheFile() string {
	dir := d.opt.CacheDir
	switch dir {
	case "-":
		return ""
	case "":
		user, err := os.UserCacheDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(user, "tenon", "vulkan")
	}
	h := sha256.New()
	h.Write(d.phys.CacheUUID[:])
	h.Write(d.phys.UUID[:])
	h.Write([]byte(d.phys.Name + "\x00" + d.phys.Driver))
	return filepath.Join(dir, hex.EncodeToString(h.Sum(nil)[:12])+".pipelines")
}

// cacheHeader stands before the driver's bytes: a damaged file would be the driver's to survive.
const cacheHeader = sha256.Size

func (d *Device) loadCache() []byte {
	file := d.cacheFile()
	if file == "" {
		return nil
	}
	data, err := os.ReadFile(file)
	if err != nil || len(data) < cacheHeader || sha256.Sum256(data[cacheHeader:]) != [sha256.Size]byte(data[:cacheHeader]) {
		return nil
	}
	return data[cacheHeader:]
}

// saveCache writes the file if there is something new. Two processes do not disturb each other: the last wins.
func (s *session) saveCache() error {
	p := &s.pipes
	p.mu.Lock()
	defer p.mu.Unlock()
	file := s.dev.cacheFile()
	if file == "" || !p.fresh || s.lost.Load() {
		return nil
	}
	p.fresh, p.saved = false, time.Now()
	data, err := s.vk.PipelineCache()
	if err != nil {
		return s.failed("reading the pipeline cache", err)
	}
	if len(data) == 0 || os.MkdirAll(filepath.Dir(file), 0o755) != nil {
		return nil
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), "new-*")
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(data)
	_, err = tmp.Write(append(sum[:], data...))
	if tmp.Close() != nil || err != nil || os.Rename(tmp.Name(), file) != nil {
		_ = os.Remove(tmp.Name()) // it is only a cache
	}
	return nil
}

// cacheEvery is how long new pipelines wait until they are written.
const cacheEvery = 3 * time.Second

// keepCache writes the cache now and then.
func (s *session) keepCache() error {
	s.pipes.mu.Lock()
	due := s.pipes.fresh && time.Since(s.pipes.saved) > cacheEvery
	s.pipes.mu.Unlock()
	if !due {
		return nil
	}
	return s.saveCache()
}
