package main

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/types"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	remote "k8s.io/cri-client/pkg"
	fakeremote "k8s.io/cri-client/pkg/fake"
	kubeletapp "k8s.io/kubernetes/cmd/kubelet/app"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	cadvisortest "k8s.io/kubernetes/pkg/kubelet/cadvisor/testing"
	"k8s.io/kubernetes/pkg/kubelet/cm"
	"k8s.io/kubernetes/pkg/kubemark"
)

// runKubelet serves a kubelet's real HTTPS port, with its real authentication and authorization, above a container
// runtime that only pretends.
func runKubelet(args []string) error {
	flags := flag.NewFlagSet("kubelet", flag.ExitOnError)
	dir := flags.String("dir", "", "where certificates and kubeconfig are")
	name := flags.String("name", "", "the node's name")
	address := flags.String("address", "", "the node's address")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx := context.Background()
	client, err := kubeletClient(filepath.Join(*dir, "admin.kubeconfig"))
	if err != nil {
		return err
	}
	kubeletFlags, config := kubemark.GetHollowKubeletConfig(&kubemark.HollowKubeletOptions{
		NodeName: *name, KubeletPort: 10250, MaxPods: 110,
	})
	kubeletFlags.NodeIP = *address
	config.Address = *address
	config.TLSCertFile = filepath.Join(*dir, "kubelet.crt")
	config.TLSPrivateKeyFile = filepath.Join(*dir, "kubelet.key")
	config.Authentication.X509.ClientCAFile = filepath.Join(*dir, "ca.crt")
	config.Authentication.Anonymous.Enabled = false
	config.Authentication.Webhook.Enabled = true
	config.Authorization.Mode = kubeletconfig.KubeletAuthorizationModeWebhook

	endpoint, err := fakeremote.GenerateEndpoint()
	if err != nil {
		return err
	}
	runtime := fakeremote.NewFakeRemoteRuntime()
	if err := runtime.Start(endpoint); err != nil {
		return fmt.Errorf("the pretended runtime does not start: %w", err)
	}
	defer runtime.Stop()
	runtimeService, err := remote.NewRemoteRuntimeServiceBuilder().
		WithEndpoint(endpoint).WithConnectionTimeout(15 * time.Second).Build(ctx)
	if err != nil {
		return err
	}
	runtimeWithSessions, err := withSessions(runtimeService)
	if err != nil {
		return err
	}
	hollow := kubemark.NewHollowKubelet(kubeletFlags, config, client, client,
		&cadvisortest.Fake{NodeName: *name}, runtime.ImageService, runtimeWithSessions, cm.NewStubContainerManager())
	tls, err := kubeletapp.InitializeTLS(ctx, kubeletFlags, config)
	if err != nil {
		return err
	}
	hollow.KubeletDeps.TLSOptions = tls
	auth, start, err := kubeletapp.BuildAuth(types.NodeName(*name), client, *config)
	if err != nil {
		return err
	}
	start(ctx.Done())
	hollow.KubeletDeps.Auth = auth
	hollow.Run(ctx)
	return nil
}

func kubeletClient(kubeconfig string) (*clientset.Clientset, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.UserAgent = "hollow-kubelet"
	return clientset.NewForConfig(config)
}
