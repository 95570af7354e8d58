#!/bin/sh
# Puts the files of packaging/ where a package puts them, and does what a package does then: install.sh PROJECT
set -eu
packaging=$1/packaging
install -D -m 644 -t /usr/lib/systemd/system "$packaging/systemd/qbackd.service" "$packaging/systemd/qbackd.socket"
install -D -m 644 -t /usr/lib/sysusers.d "$packaging/sysusers.d/qbackd.conf"
install -D -m 644 -t /usr/lib/tmpfiles.d "$packaging/tmpfiles.d/qbackd.conf"
install -D -m 644 -t /usr/lib/systemd/catalog "$packaging/catalog/qbackd.catalog"
systemd-sysusers qbackd.conf
systemd-tmpfiles --create qbackd.conf
journalctl --update-catalog
systemctl daemon-reload
