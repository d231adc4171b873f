package testnet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/shirou/gopsutil/v4/process"
)

// AttachedEnv, set in a process's environment, makes it end when its standard
// input ends: so that no process outlives the one that started it, however that
// one ended.
const AttachedEnv = "MTM_ATTACHED"

// stopPatience is how long a process may take to end by itself.
const stopPatience = 20 * time.Second

// Process is a running command of this program. Its output goes to a log file.
type Process struct {
	Name string
	Log  string // path of the log
	cmd  *exec.Cmd
	hold io.Closer // its standard input, when attached
	done chan struct{}
	err  error // of Wait, once done is closed
}

// record is what run/NAME.json says of a process.
type record struct {
	PID     int32    `json:"pid"`
	Started int64    `json:"started_ms"` // tells a process from a later one with its pid
	Args    []string `json:"args"`
}

// launch starts binary with args. An attached process ends with this one.
func launch(dir, binary, name string, attached bool, args ...string) (*Process, error) {
	run := filepath.Join(dir, "run")
	if err := os.MkdirAll(run, 0o700); err != nil {
		return nil, fmt.Errorf("testnet: %w", err)
	}
	p := &Process{Name: name, Log: filepath.Join(run, name+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("testnet: %w", err)
	}
	defer log.Close()
	p.cmd = exec.Command(binary, args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if attached {
		p.cmd.Env = append(os.Environ(), AttachedEnv+"=1")
		if p.hold, err = p.cmd.StdinPipe(); err != nil {
			return nil, fmt.Errorf("testnet: %w", err)
		}
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("testnet: start %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, p.remember(run, args)
}

func (p *Process) remember(run string, args []string) error {
	r := record{PID: int32(p.cmd.Process.Pid), Args: args}
	if live, err := process.NewProcess(r.PID); err == nil {
		r.Started, _ = live.CreateTime()
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(run, p.Name+".json"), b)
}

// PID is its process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err is how the process ended: nil for exit code 0. Call it after Done.
func (p *Process) Err() error { return p.err }

// Running tells whether the process has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Kill ends the process at once (SIGKILL) and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // fails only when it has ended
	<-p.done
}

// Stop asks the process to end (SIGTERM), and kills it if it takes too long.
func (p *Process) Stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only when it has ended
	select {
	case <-p.done:
		return p.err
	case <-time.After(stopPatience):
		p.Kill()
		return fmt.Errorf("testnet: %s did not end within %v and was killed", p.Name, stopPatience)
	}
}

// LogTail returns the last lines of the log.
func (p *Process) LogTail() string {
	b, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// Running lists the names of the processes of a folder that run now.
func (m *Manifest) Running() []string {
	var names []string
	for name := range m.processes() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// processes finds the folder's processes that still run.
func (m *Manifest) processes() map[string]*process.Process {
	found := map[string]*process.Process{}
	files, _ := filepath.Glob(m.Path("run", "*.json")) // fails only for a bad pattern
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		var r record
		if json.Unmarshal(b, &r) != nil {
			continue
		}
		live, err := process.NewProcess(r.PID)
		if err != nil {
			continue
		}
		if started, err := live.CreateTime(); err == nil && started == r.Started {
			found[strings.TrimSuffix(filepath.Base(file), ".json")] = live
		}
	}
	return found
}

// Down ends every process of a folder, whoever started it, and returns their
// names.
func (m *Manifest) Down() ([]string, error) {
	live := m.processes()
	var (
		names []string
		errs  []error
	)
	for name, p := range live {
		names = append(names, name)
		if err := p.Terminate(); err != nil {
			errs = append(errs, fmt.Errorf("testnet: stop %s: %w", name, err))
		}
	}
	slices.Sort(names)
	deadline := time.Now().Add(stopPatience)
	for len(m.processes()) > 0 && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	for name, p := range m.processes() {
		errs = append(errs, fmt.Errorf("testnet: %s did not end within %v: killed", name, stopPatience), p.Kill())
	}
	return names, errors.Join(errs...)
}

// killed tells whether the process was ended by Kill or Stop.
func (p *Process) killed() bool {
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && (status.Signal() == syscall.SIGKILL || status.Signal() == syscall.SIGTERM)
}
