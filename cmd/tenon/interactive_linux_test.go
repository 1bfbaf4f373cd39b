package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tenon-go/tenon/internal/tinymodel"
)

// openTerminal returns both ends of a pseudo-terminal.
func openTerminal(t *testing.T) (control, terminal *os.File) {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	t.Cleanup(func() { control.Close() })
	if err := unix.IoctlSetPointerInt(int(control.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	n, err := unix.IoctlGetInt(int(control.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	t.Cleanup(func() { terminal.Close() })
	return control, terminal
}

// screen collects what a process writes to its terminal.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
	seen int // what waitFor has passed
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

// waitFor waits for a text after those that were waited for before.
func (s *screen) waitFor(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		all := s.text.String()
		if i := strings.Index(all[s.seen:], text); i >= 0 {
			s.seen += i + len(text)
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		if time.Now().After(deadline) {
			t.Fatalf("waiting for %q: the screen has %q", text, all)
		}
	}
}

// session is a tenon run at a terminal.
type session struct {
	*screen
	keys *os.File
	cmd  *exec.Cmd
}

func startSession(t *testing.T, args ...string) *session {
	t.Helper()
	control, terminal := openTerminal(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Args[0] = "tenon" // what TestMain looks at
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	s := &session{&screen{}, control, cmd}
	go func() {
		buf := make([]byte, 1<<10)
		for {
			n, err := control.Read(buf)
			if err != nil {
				return
			}
			s.Write(buf[:n])
		}
	}()
	return s
}

func (s *session) press(t *testing.T, keys string) {
	t.Helper()
	if _, err := s.keys.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}

// TestInteractive types at the prompt: every line is a prompt, Ctrl-C ends a text and not the command,
// an error concerns one prompt alone, and Ctrl-D ends the command.
func TestInteractive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := tinymodel.WriteFile(path, tinymodel.Config{Context: 4096}); err != nil {
		t.Fatal(err)
	}
	s := startSession(t, "run", "-m", path, "--temp", "0", "--ignore-eos", "--logit-bias", "274+1000")
	s.waitFor(t, "Ctrl-D ends")
	s.waitFor(t, promptMark)
	s.press(t, "thx\x7fe\r") // with a slip that is mended
	s.waitFor(t, " w274 w274 w274")
	s.press(t, "\x03")
	s.waitFor(t, "generated")
	s.waitFor(t, "tenon: interrupted")
	s.waitFor(t, promptMark)
	s.press(t, strings.Repeat("0123456789", 300)+strings.Repeat("0123456789", 200)+"\r")
	s.waitFor(t, "no room")
	s.waitFor(t, promptMark)
	s.press(t, "\r") // nothing is asked, nothing is done
	s.waitFor(t, promptMark)
	s.press(t, "\x04")
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("%v, want success; the screen has %q", err, s.text.String())
	}
}

// TestProgressBar shows the bar of a slow work on a terminal, and removes it.
func TestProgressBar(t *testing.T) {
	control, terminal := openTerminal(t)
	go func() {
		p := newProgress(terminal, "loading")
		p.next = time.Time{}
		p.set(512, 1024)
		p.clear()
		fmt.Fprint(terminal, "done")
	}()
	var all []byte
	buf := make([]byte, 256)
	for !bytes.HasSuffix(all, []byte("done")) {
		n, err := control.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, buf[:n]...)
	}
	want := "\rloading [===============               ]  50% of 1.0 KiB\x1b[K\r\x1b[Kdone"
	if string(all) != want {
		t.Errorf("the screen has %q, want %q", all, want)
	}
}
