//! `throughway serve` behind a real kube-apiserver.

mod answers;
mod compare;
mod installation;
mod kubelets;
mod rights;
mod road;
mod strangers;
