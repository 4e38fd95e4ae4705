package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	cri "k8s.io/cri-api/pkg/apis"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-streaming/pkg/streaming"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

// sessions adds what the pretended runtime lacks: exec, attach and port-forward, over the streaming server that real
// runtimes use.
type sessions struct {
	cri.RuntimeService
	server streaming.Server
}

func withSessions(runtime cri.RuntimeService) (*sessions, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	config := streaming.DefaultConfig
	config.BaseURL = &url.URL{Scheme: "http", Host: listener.Addr().String()}
	server, err := streaming.NewServer(config, programs{})
	if err != nil {
		return nil, err
	}
	go http.Serve(listener, server)
	return &sessions{RuntimeService: runtime, server: server}, nil
}

func (s *sessions) Exec(_ context.Context, request *criapi.ExecRequest) (*criapi.ExecResponse, error) {
	return s.server.GetExec(request)
}

func (s *sessions) Attach(_ context.Context, request *criapi.AttachRequest) (*criapi.AttachResponse, error) {
	return s.server.GetAttach(request)
}

func (s *sessions) PortForward(_ context.Context, request *criapi.PortForwardRequest) (*criapi.PortForwardResponse, error) {
	return s.server.GetPortForward(request)
}

// programs are all that can be run in a container: "cat", "say WORDS" on both outputs, "exit CODE", and "size", which says
// how large its terminal is.
type programs struct{}

func (programs) Exec(_ context.Context, _ string, command []string, in io.Reader, out, err io.WriteCloser, isTerminal bool, sizes <-chan remotecommand.TerminalSize) error {
	words := strings.Join(command[1:], " ")
	switch command[0] {
	case "cat":
		_, failed := io.Copy(out, in)
		return failed
	case "say":
		fmt.Fprintln(out, words)
		fmt.Fprintln(err, words)
		return nil
	case "exit":
		code, failed := strconv.Atoi(words)
		if failed != nil {
			return failed
		}
		return utilexec.CodeExitError{Err: fmt.Errorf("exit %d", code), Code: code}
	case "size":
		if !isTerminal {
			return fmt.Errorf("there is no terminal")
		}
		size := <-sizes
		fmt.Fprintf(out, "%d columns, %d rows\n", size.Width, size.Height)
		return nil
	default:
		return fmt.Errorf("there is no program %q", command[0])
	}
}

// Attach is as if "cat" had been running all the time.
func (programs) Attach(_ context.Context, _ string, in io.Reader, out, _ io.WriteCloser, _ bool, _ <-chan remotecommand.TerminalSize) error {
	fmt.Fprintln(out, "attached")
	_, err := io.Copy(out, in)
	return err
}

// PortForward answers with the port and then gives back what it gets.
func (programs) PortForward(_ context.Context, _ string, port int32, stream io.ReadWriteCloser) error {
	fmt.Fprintf(stream, "port %d\n", port)
	_, err := io.Copy(stream, stream)
	return err
}
