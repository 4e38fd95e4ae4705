//! `throughway serve` behind a real kube-apiserver.

mod compare;
mod installation;
mod kubelets;
mod responses;
mod rights;
mod road;
mod strangers;
