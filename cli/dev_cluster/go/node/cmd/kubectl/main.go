// Command kubectl is the ordinary one. It is not part of node, because tests call it all the time
// and it starts in half the time by itself.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
)

func main() {
	os.Exit(cli.Run(cmd.NewDefaultKubectlCommand()))
}
