/**
 * What systemd in the pod runs when an app has ended, as `/bin/sh /rkt/reaper APP RESTART` in the
 * pod's own root. If the app is to be restarted it ends with 75, which has systemd do so; systemd's
 * own Restart= takes the restart for an end of the app. Otherwise it records the exit status, 128 +
 * signal for a killed app, whose signal it records as well, and ends the pod with the first failure.
 * Whether the restart comes about is not its to know, so that it leaves the status aside as APP_last.
 * An app that ends as it was told to counts as a success.
 * MONITOR_*: systemd.exec(5), "Environment Variables Set or Propagated by the Service Manager".
 */
export const REAPER = `#!/bin/sh
signal=
case $MONITOR_EXIT_CODE:$MONITOR_EXIT_STATUS in
  exited:*) code=$MONITOR_EXIT_STATUS ;;
  *:RTMIN) signal=34 ;;
  *:RTMIN+*) signal=$((34 + \${MONITOR_EXIT_STATUS#RTMIN+})) ;;
  *:?*)
    signal=0
    for name in HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT \\
      CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS; do
      signal=$((signal + 1))
      [ "$name" != "$MONITOR_EXIT_STATUS" ] || break
    done ;;
  *) code=254 ;;
esac
[ -z "$signal" ] || code=$((128 + signal))

# Whether the app has ended for the fifth time in ten seconds.
often() {
  read -r now rest < /proc/uptime
  set -- "/rkt/status/$1_ends" "\${now%.*}" $(cat "/rkt/status/$1_ends" 2> /dev/null)
  echo "$2 $3 $4 $5" > "$1"
  [ $# -gt 5 ] && [ $(($2 - $6)) -le 10 ]
}

restart=
case $2:$code in always:* | on-failure:[!0]*) often "$1" || restart=yes ;; esac
[ -z "$restart" ] || sleep 0.1
ends=$code
if [ "$code$restart" != 0 ] &&
  { [ -e "/rkt/status/$1_stopping" ] || [ "$(systemctl is-system-running)" = stopping ]; }; then
  ends=0 restart=
  [ "$MONITOR_SERVICE_RESULT" != success ] || code=0 signal=
fi
[ -z "$restart" ] || { echo "$code $signal" > "/rkt/status/$1_last" && exit 75; }
[ -z "$signal" ] || echo "$signal" > "/rkt/status/$1_signal"
echo "$code" > "/rkt/status/$1"
if [ -p /rkt/streams/sync ]; then # the relay answers when it has passed on all that the app wrote
  exec 3<>"/rkt/streams/$1/done" 4<"/rkt/streams/$1/done" 3>&-
  echo "$1" 1<>/rkt/streams/sync
  read -r _ <&4
fi
[ "$ends" = 0 ] || [ -e /rkt/mutable ] || exec systemctl exit "$code"
`;

/**
 * What is run when the reapers have: an app that was to start again, and was told to stop before it did,
 * has ended with the status that its reaper has left aside.
 */
export const SETTLER = `#!/bin/sh
for last in /rkt/status/*_last; do
  app=\${last%_last}
  [ -e "$last" ] && [ ! -e "$app" ] || continue
  [ -e "\${app}_stopping" ] || [ "$(systemctl is-system-running)" = stopping ] || continue
  read -r code signal < "$last"
  [ -z "$signal" ] || echo "$signal" > "\${app}_signal"
  echo "$code" > "$app"
done
`;
