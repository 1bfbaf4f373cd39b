package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/tenon-go/tenon/internal/frames"
	"github.com/tenon-go/tenon/kv"
)

// What a state file can be refused for, besides kv.ErrSaved and kv.ErrFull: errors of Restore match ErrState and one of
// these.
var (
	ErrState   = errors.New("unusable state file")
	ErrDamaged = frames.ErrDamaged               // cut short, or not as it was written
	ErrForeign = errors.New("of something else") // another model, another version, no state file at all
)

// StateError says why a state file is refused, or why a sequence cannot be saved. It matches ErrState, and Kind.
type StateError struct {
	What       string
	Have, Want string
	Kind       error // ErrDamaged, ErrForeign, or nil
}

// Error returns one line with both sides.
func (e *StateError) Error() string {
	return fmt.Sprintf("engine: state file: %s is %s, want %s", e.What, e.Have, e.Want)
}

// Unwrap returns ErrState and Kind.
func (e *StateError) Unwrap() []error {
	if e.Kind == nil {
		return []error{ErrState}
	}
	return []error{ErrState, e.Kind}
}

// SequenceState is what a state file says of a sequence besides what the cache holds.
type SequenceState struct {
	Tokens  []int32 // those that the cache holds, from position 0 on
	Next    int32   // the token chosen after them, which the model has not seen; -1 if there is none
	Sampler []byte  // what sample.State.MarshalBinary gave; empty if there is none
	Ahead   int     // how many of the last of these tokens, Next included, were chosen but not given out yet
}

const (
	stateMagic   = "TNSTATE\n"
	stateVersion = 2
	maxSampler   = 1 << 27 // bytes; a sampler remembers 2^24 tokens at most
)

// Save writes a sequence to w: a header with version and fingerprint of the model, st, and the cache's rows, all of it in
// frames with checksums. Restore reads it.
//
// Errors: *StateError (ErrState) if st does not fit the sequence; *kv.SavedError for one with gaps; *kv.SeqError;
// ErrClosed; those of w, of ctx, and of devices.
func (e *Engine) Save(ctx context.Context, w io.Writer, seq int32, st SequenceState) error {
	if e.closed {
		return ErrClosed
	}
	if err := cancelled(ctx); err != nil {
		return err
	}
	if err := e.checkState(st, e.cache.MaxPos(int(seq))+1, nil); err != nil {
		return err
	}
	if err := e.shift(ctx); err != nil { // keys are saved where they belong
		return err
	}
	head, err := e.stateHead()
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	out := frames.NewWriter(w)
	if _, err := out.Write(appendState(nil, st)); err != nil {
		return err
	}
	if err := e.cache.SaveSeq(out, int(seq)); err != nil {
		return err
	}
	return out.Close()
}

// Restore reads a sequence that Save wrote, of this engine or of another one over the same model with the same types of
// cache, into seq, which must be empty. What the model says next is, bit for bit, what it would have said without
// the way through a file, if seq alone uses the cache before and after. A file that is refused changes nothing.
//
// Errors: *StateError and others that match ErrState, for a file that is damaged or foreign or does not fit; *kv.FullError;
// *kv.SeqError and *kv.PosError for seq; ErrClosed; those of r, of ctx, and of devices.
func (e *Engine) Restore(ctx context.Context, r io.Reader, seq int32) (st SequenceState, err error) {
	if e.closed {
		return st, ErrClosed
	}
	if err := cancelled(ctx); err != nil {
		return st, err
	}
	if err := e.readStateHead(r); err != nil {
		return st, err
	}
	in := frames.NewReader(r)
	if st, err = readState(in); err != nil {
		return SequenceState{}, stateError(err)
	}
	if err := e.checkState(st, len(st.Tokens), ErrDamaged); err != nil {
		return SequenceState{}, err
	}
	loaded, err := e.cache.LoadSeq(in, int(seq))
	if err != nil {
		return SequenceState{}, stateError(err)
	}
	if err = stateEnd(in); err == nil && loaded.Tokens() != len(st.Tokens) {
		err = &StateError{"the number of tokens", strconv.Itoa(len(st.Tokens)), strconv.Itoa(loaded.Tokens()) + ", as the cache has", ErrDamaged}
	}
	if err == nil {
		err = cancelled(ctx)
	}
	if err != nil {
		return SequenceState{}, errors.Join(stateError(err), loaded.Drop())
	}
	return st, loaded.Commit()
}

// stateEnd reports whether the stream ends here.
func stateEnd(in io.Reader) error {
	switch _, err := io.ReadFull(in, make([]byte, 1)); err {
	case io.EOF:
		return nil
	case nil:
		return &StateError{"what follows the sequence", "more", "nothing", ErrDamaged}
	default:
		return err
	}
}

// stateError makes an error of what Restore reads one that matches ErrState, if it is the file's.
func stateError(err error) error {
	switch {
	case errors.Is(err, ErrState):
		return err
	case err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF): // within the stream: it ends too early
		return fmt.Errorf("engine: %w: it says less than it should: %w", ErrState, ErrDamaged)
	case errors.Is(err, ErrDamaged), errors.Is(err, kv.ErrSaved):
		return fmt.Errorf("engine: %w: %w", ErrState, err)
	}
	return err
}

// checkState reports what is wrong with st for a sequence of n tokens.
func (e *Engine) checkState(st SequenceState, n int, kind error) error {
	if len(st.Tokens) != n {
		return &StateError{"the number of tokens", strconv.Itoa(len(st.Tokens)), fmt.Sprintf("%d, as the cache has", n), kind}
	}
	for i, id := range append(st.Tokens[:n:n], st.Next) {
		if int(id) >= e.model.Vocab || id < 0 && (i < n || id != -1) {
			return &StateError{"a token", strconv.Itoa(int(id)), fmt.Sprintf("0 to %d", e.model.Vocab-1), kind}
		}
	}
	if st.Ahead < 0 || st.Ahead > n || st.Ahead > 0 && st.Next < 0 { // what was given out last is always there
		return &StateError{"the number of tokens ahead", strconv.Itoa(st.Ahead), fmt.Sprintf("0 to %d, and 0 without a next token", n), kind}
	}
	if len(st.Sampler) > maxSampler {
		return &StateError{"the sampler's state", fmt.Sprintf("%d bytes", len(st.Sampler)), fmt.Sprintf("at most %d", maxSampler), kind}
	}
	return nil
}

// stateHead is what a state file begins with: it tells foreign files apart before anything is read of them.
func (e *Engine) stateHead() ([]byte, error) {
	sum, err := e.file.Fingerprint()
	if err != nil {
		return nil, err
	}
	head := binary.LittleEndian.AppendUint32([]byte(stateMagic), stateVersion)
	return append(head, sum[:]...), nil
}

func (e *Engine) readStateHead(r io.Reader) error {
	want, err := e.stateHead()
	if err != nil {
		return err
	}
	have := make([]byte, len(want))
	n, err := io.ReadFull(r, have)
	const version = len(stateMagic)
	switch {
	case n < version && (err == io.EOF || err == io.ErrUnexpectedEOF), n >= version && string(have[:version]) != stateMagic:
		return &StateError{"its beginning", strconv.Quote(string(have[:min(n, version)])), strconv.Quote(stateMagic), ErrForeign}
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return &StateError{"the file", fmt.Sprintf("%d bytes long", n), "longer", ErrDamaged}
	case err != nil:
		return err
	}
	if v := binary.LittleEndian.Uint32(have[version:]); v != stateVersion {
		return &StateError{"its version", fmt.Sprint(v), fmt.Sprint(stateVersion), ErrForeign}
	}
	if !bytes.Equal(have, want) {
		short := func(b []byte) string { return hex.EncodeToString(b[version+4 : version+12]) }
		return &StateError{"the fingerprint of its model", short(have), short(want) + ", that of this one", ErrForeign}
	}
	return nil
}

func appendState(b []byte, st SequenceState) []byte {
	word := func(n int) { b = binary.LittleEndian.AppendUint32(b, uint32(n)) }
	word(len(st.Tokens))
	for _, id := range st.Tokens {
		word(int(id))
	}
	word(int(st.Next))
	word(st.Ahead)
	word(len(st.Sampler))
	return append(b, st.Sampler...)
}

// readState reads what appendState wrote. Memory is taken as the bytes come, whatever their number is said to be.
func readState(r io.Reader) (st SequenceState, err error) {
	word := func() (n uint32) {
		var b [4]byte
		if err == nil {
			_, err = io.ReadFull(r, b[:])
		}
		return binary.LittleEndian.Uint32(b[:])
	}
	for n := word(); n > 0 && err == nil; n-- {
		st.Tokens = append(st.Tokens, int32(word()))
	}
	st.Next = int32(word())
	st.Ahead = int(int32(word()))
	n := word()
	if err != nil {
		return st, err
	}
	st.Sampler, err = io.ReadAll(io.LimitReader(r, int64(n)))
	if err == nil && len(st.Sampler) != int(n) {
		err = io.ErrUnexpectedEOF
	}
	return st, err
}
