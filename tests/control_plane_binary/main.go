// Command controlplane is a real Kubernetes control plane in one binary, for tests.
//
// Called as "controlplane run" it makes certificates, starts itself once for each component (etcd, kube-apiserver,
// kube-controller-manager, a hollow kubelet), prints "ready" and ends them all when its standard input closes or it
// is told to stop. Called with a component's name it is that component. The network namespace, with the addresses it
// is to use, has been made before.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: controlplane run|etcd|kube-apiserver|kube-controller-manager|kubelet|kubectl"))
	}
	component := os.Args[1]
	os.Args = append([]string{component}, os.Args[2:]...)
	switch component {
	case "run":
		fail(run(os.Args[1:]))
	case "etcd":
		fail(runEtcd(os.Args[1:]))
	case "kubelet":
		fail(runKubelet(os.Args[1:]))
	case "kube-apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kube-controller-manager":
		os.Exit(cli.Run(controllers.NewControllerManagerCommand()))
	case "kubectl":
		runKubectl(kubectl.NewDefaultKubectlCommand())
	default:
		fail(fmt.Errorf("there is no component %q", component))
	}
}

func runKubectl(command *cobra.Command) {
	if err := cli.RunNoErrOutput(command); err != nil {
		checkKubectl(err)
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "controlplane: %v\n", err)
		os.Exit(1)
	}
}
