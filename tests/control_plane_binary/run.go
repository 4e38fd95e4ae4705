package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const etcdURL = "http://127.0.0.1:2379"

// startLimit is how long a control plane may take until it is ready.
const startLimit = 2 * time.Minute

// plane is one control plane: its folder, its addresses and its running components.
type plane struct {
	dir            string
	address        string
	kubeletAddress string
	components     []*exec.Cmd
	ended          chan string
}

func run(args []string) error {
	flags := flag.NewFlagSet("run", flag.ExitOnError)
	p := &plane{ended: make(chan string, 4)}
	flags.StringVar(&p.dir, "dir", "", "an empty folder for certificates, kubeconfigs, data and logs")
	flags.StringVar(&p.address, "address", "10.77.0.1", "kube-apiserver's address")
	flags.StringVar(&p.kubeletAddress, "kubelet-address", "10.77.0.2", "the hollow kubelet's address")
	if err := flags.Parse(args); err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop <- syscall.SIGTERM
	}()
	if err := p.certificates(); err != nil {
		return err
	}
	defer p.end()
	if err := p.start(stop); err != nil {
		return err
	}
	fmt.Println("ready")
	select {
	case <-stop:
		return nil
	case name := <-p.ended:
		return fmt.Errorf("%s ended, its log is in %s", name, p.dir)
	}
}

// start brings the components up one after the other, each when what it needs answers.
func (p *plane) start(stop chan os.Signal) error {
	if err := p.launch("etcd", "--dir", p.dir, "--listen", etcdURL); err != nil {
		return err
	}
	if err := p.launch("kube-apiserver", p.apiserverFlags()...); err != nil {
		return err
	}
	client, err := kubeletClient(p.file("admin.kubeconfig"))
	if err != nil {
		return err
	}
	ready := func() error {
		return client.RESTClient().Get().AbsPath("/readyz").Do(context.Background()).Error()
	}
	if err := p.wait("kube-apiserver", stop, ready); err != nil {
		return err
	}
	if err := p.launch("kube-controller-manager", p.controllerFlags()...); err != nil {
		return err
	}
	if err := p.launch("kubelet", "--dir", p.dir, "--name", "hollow", "--address", p.kubeletAddress); err != nil {
		return err
	}
	return p.wait("kubelet", stop, func() error {
		node, err := client.CoreV1().Nodes().Get(context.Background(), "hollow", metav1.GetOptions{})
		if err == nil && len(node.Status.Addresses) == 0 {
			err = fmt.Errorf("the node has no address yet")
		}
		if err == nil {
			_, err = client.CoreV1().ServiceAccounts("default").Get(context.Background(), "default", metav1.GetOptions{})
		}
		return err
	})
}

func (p *plane) wait(name string, stop chan os.Signal, ready func() error) error {
	deadline := time.After(startLimit)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-stop:
			return fmt.Errorf("told to stop")
		case ended := <-p.ended:
			return fmt.Errorf("%s ended, its log is in %s", ended, p.dir)
		case <-deadline:
			return fmt.Errorf("%s is not ready after %s: %w", name, startLimit, err)
		case <-tick.C:
		}
	}
}

// launch starts this binary once more as a component that dies with this process.
func (p *plane) launch(name string, args ...string) error {
	log, err := os.Create(p.file(name + ".log"))
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	command := exec.Command(self, append([]string{name}, args...)...)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return err
	}
	p.components = append(p.components, command)
	go func() {
		_ = command.Wait()
		p.ended <- name
	}()
	return nil
}

// end stops the components, the last one first, and does not wait long for a slow one.
func (p *plane) end() {
	for i := len(p.components) - 1; i >= 0; i-- {
		component := p.components[i]
		_ = component.Process.Signal(syscall.SIGTERM)
		time.AfterFunc(3*time.Second, func() { _ = component.Process.Kill() })
		select {
		case <-p.ended:
		case <-time.After(5 * time.Second):
		}
	}
}

func (p *plane) file(name string) string { return filepath.Join(p.dir, name) }

func (p *plane) certificates() error {
	if p.dir == "" {
		return fmt.Errorf("--dir is missing")
	}
	ca, err := newAuthority(p.dir, "ca", "kubernetes")
	if err != nil {
		return err
	}
	frontProxy, err := newAuthority(p.dir, "front-proxy-ca", "front-proxy-ca")
	if err != nil {
		return err
	}
	for file, subject := range map[string]subject{
		"apiserver": {name: "kube-apiserver", addresses: []string{p.address, "127.0.0.1", "10.96.0.1"},
			dnsNames: []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"}},
		"apiserver-kubelet-client": {name: "kube-apiserver-kubelet-client", organizations: []string{"system:masters"}},
		"admin":                    {name: "kubernetes-admin", organizations: []string{"system:masters"}},
		"kubelet":                  {name: "system:node:hollow", organizations: []string{"system:nodes"}, addresses: []string{p.kubeletAddress}},
		"service-account":          {name: "service-accounts"},
	} {
		if err := ca.issue(p.dir, file, subject); err != nil {
			return err
		}
	}
	if err := frontProxy.issue(p.dir, "front-proxy-client", subject{name: "front-proxy-client"}); err != nil {
		return err
	}
	return p.kubeconfig("admin")
}

func (p *plane) kubeconfig(user string) error {
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "https://%s:6443", certificate-authority: %s}}]
users: [{name: %s, user: {client-certificate: %s, client-key: %s}}]
contexts: [{name: test, context: {cluster: test, user: %s}}]
current-context: test
`, p.address, p.file("ca.crt"), user, p.file(user+".crt"), p.file(user+".key"), user)
	return os.WriteFile(p.file(user+".kubeconfig"), []byte(text), 0o600)
}

func (p *plane) apiserverFlags() []string {
	return []string{
		"--etcd-servers=" + etcdURL,
		"--bind-address=" + p.address, "--advertise-address=" + p.address, "--secure-port=6443",
		"--tls-cert-file=" + p.file("apiserver.crt"), "--tls-private-key-file=" + p.file("apiserver.key"),
		"--client-ca-file=" + p.file("ca.crt"),
		"--authorization-mode=Node,RBAC", "--allow-privileged", "--enable-bootstrap-token-auth",
		"--service-cluster-ip-range=10.96.0.0/16",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + p.file("service-account.crt"),
		"--service-account-signing-key-file=" + p.file("service-account.key"),
		"--requestheader-client-ca-file=" + p.file("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + p.file("front-proxy-client.crt"),
		"--proxy-client-key-file=" + p.file("front-proxy-client.key"),
		"--enable-aggregator-routing",
		"--kubelet-client-certificate=" + p.file("apiserver-kubelet-client.crt"),
		"--kubelet-client-key=" + p.file("apiserver-kubelet-client.key"),
		"--kubelet-certificate-authority=" + p.file("ca.crt"),
		"--kubelet-preferred-address-types=InternalIP",
		"--endpoint-reconciler-type=lease", "--shutdown-delay-duration=0s",
	}
}

func (p *plane) controllerFlags() []string {
	controllers := []string{
		"endpointslice-controller", "serviceaccount-controller", "root-ca-certificate-publisher-controller",
		"namespace-controller", "garbage-collector-controller", "clusterrole-aggregation-controller",
		"deployment-controller", "replicaset-controller", "disruption-controller",
	}
	return []string{
		"--controllers=" + strings.Join(controllers, ","),
		"--kubeconfig=" + p.file("admin.kubeconfig"),
		"--root-ca-file=" + p.file("ca.crt"),
		"--service-account-private-key-file=" + p.file("service-account.key"),
		"--leader-elect=false", "--use-service-account-credentials=false", "--secure-port=0",
		"--concurrent-namespace-syncs=4", "--kube-api-qps=200", "--kube-api-burst=400",
	}
}
