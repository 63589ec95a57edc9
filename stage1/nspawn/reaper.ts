/**
 * What systemd in the pod runs when an app has ended, as `/bin/sh /rkt/reaper APP` in the pod's
 * own root. It records the exit status, 128 + signal for a killed app, and ends the pod with the
 * first failure. An app that ends as it was told to, while the pod stops, counts as a success.
 * MONITOR_*: systemd.exec(5), "Environment Variables Set or Propagated by the Service Manager".
 */
export const REAPER = `#!/bin/sh
case $MONITOR_EXIT_CODE:$MONITOR_EXIT_STATUS in
  exited:*) code=$MONITOR_EXIT_STATUS ;;
  *:RTMIN) code=162 ;;
  *:RTMIN+*) code=$((162 + \${MONITOR_EXIT_STATUS#RTMIN+})) ;;
  *:?*)
    code=128
    for name in HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT \\
      CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS; do
      code=$((code + 1))
      [ "$name" != "$MONITOR_EXIT_STATUS" ] || break
    done ;;
  *) code=254 ;;
esac
if [ "$code" != 0 ] && [ "$(systemctl is-system-running)" = stopping ]; then
  [ "$MONITOR_SERVICE_RESULT" != success ] || code=0
  echo "$code" > "/rkt/status/$1"
  exit
fi
echo "$code" > "/rkt/status/$1"
[ "$code" = 0 ] || exec systemctl exit "$code"
`;
