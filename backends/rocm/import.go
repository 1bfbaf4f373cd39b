//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"fmt"
	"os"
	"unsafe"

	"github.com/tenon-go/tenon/buffer"
)

// Import returns a buffer over host memory, where the device computes in the host's memory anyway and the driver takes it: weights then
// stay in the mapped file. Memory of the host type can be imported on any device.
//
// A driver may refuse pages that are mapped to be read only. Then nil is returned, so that the caller copies, and the device's Info tells
// the reason from then on.
func (m *memory) Import(host []byte) (buffer.Buffer, error) {
	page := int64(os.Getpagesize())
	at := unsafe.Pointer(unsafe.SliceData(host))
	if len(host) == 0 || int64(uintptr(at))%page != 0 || !m.shared && !m.dev.phys.Integrated || !m.dev.rt.CanRegister() {
		return nil, nil
	}
	s, err := m.dev.session()
	if err != nil {
		return nil, err
	}
	b := &buf{typ: m, s: s, size: int64(len(host)), imported: host}
	err = s.with("importing", func() (err error) {
		b.at, err = s.rt.HostRegister(at, (b.size+page-1)&^(page-1)) // the rest of the last page is there as well
		return err
	})
	if err != nil {
		if s.lost.Load() {
			return nil, err
		}
		m.dev.noImport.Store(fmt.Sprintf("copies host memory: %v", err))
		return nil, nil
	}
	s.retain()
	return b, nil
}

var _ buffer.Importer = (*memory)(nil)
