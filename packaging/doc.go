// Package packaging has what becomes of the program on other machines: Debian
// packages (scripts/dist.sh makes them), the service's unit, a dashboard and alerts.
// Its tests install, upgrade and remove the package.
package packaging
