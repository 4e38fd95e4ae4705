package main

import "k8s.io/kubectl/pkg/cmd/util"

// checkKubectl prints an error as kubectl does and exits with its code.
func checkKubectl(err error) {
	util.CheckErr(err)
}
