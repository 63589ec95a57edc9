/**
 * The validator's checks: one for each sentence of the App Container spec's chapter on the executor
 * (ace.md) that an app can see the truth of, as a shell script that fails when it does not hold. What
 * the script prints is why.
 */

/** Who runs a check: an app of the nspawn pod, one of its event handlers, the app of a fly pod. */
export type Role = 'main' | 'side' | 'third' | 'pre-start' | 'post-stop' | 'fly';

export interface Check {
  readonly section: string;
  readonly sentence: string;
  readonly roles: readonly Role[];
  readonly script: string;
}

/** Every app and event handler, in both flavours. */
const everybody: readonly Role[] = ['main', 'side', 'pre-start', 'post-stop', 'fly'];
const apps: readonly Role[] = ['main', 'side', 'fly'];
/** What the two apps of the pod share does not exist in fly, whose namespaces are the host's. */
const pod: readonly Role[] = ['main', 'side'];

/** Where the shared volume is, and who else writes to it. */
const shared = `case $ROLE in
  main) own=/deep/down/shared other=side ;;
  side) own=/shared other=main ;;
esac
`;

/** Waits a minute at most. */
const until = (condition: string) => `tries=0
until [ ${condition} ]; do
  tries=$((tries + 1)); [ $tries -lt 600 ] || { echo "nothing from $other"; exit 1; }
  sleep 0.1
done`;

const environment = 'Apps Perspective: Execution Environment';
const files = 'Filesystem Setup';
const volumes = 'Volume Setup';
const capabilities = 'os/linux/capabilities';
const seccomp = 'os/linux/seccomp';

export const checks: readonly Check[] = [
  {
    section: 'Pod UUID',
    sentence: 'each pod is assigned an RFC 4122 UUID',
    roles: pod,
    script: `hex=[0-9a-f]
hostname | grep -Eqx "rkt-$hex{8}-$hex{4}-[1-5]$hex{3}-[89ab]$hex{3}-$hex{12}" || { hostname; exit 1; }`,
  },
  {
    section: files,
    sentence: 'each app starts chrooted into its own unique filesystem',
    roles: apps,
    script: `case $ROLE in side) name=side; [ ! -e /only-main ] ;; *) name=main ;; esac
read -r found < /name; echo "$found"; [ "$found" = $name ]
for host in /usr/lib/systemd /var/lib/dpkg; do [ ! -e $host ] || { echo $host; exit 1; }; done`,
  },
  {
    section: files,
    sentence: 'every execution of an app starts from a clean copy of the rendered filesystem',
    roles: ['main', 'fly'],
    script: 'if ls -d /written 2>/dev/null; then exit 1; fi',
  },
  {
    section: files,
    sentence: 'the rootfs is read-write unless readOnlyRootFS is true',
    roles: ['main', 'fly'],
    script: 'echo x > /written; cat /written',
  },
  {
    section: files,
    sentence: 'the rootfs is read-only when readOnlyRootFS is true',
    roles: ['side'],
    script:
      'for path in /written /name /new/file; do if touch $path 2>/dev/null; then echo $path; exit 1; fi; done',
  },
  {
    section: files,
    sentence: 'the rootfs of each dependency is extracted, the later over the earlier',
    roles: ['main', 'fly'],
    script: 'cat /lower /order; grep -qx lower /lower; grep -qx upper /order',
  },
  {
    section: files,
    sentence: "the image's own rootfs is extracted over those of its dependencies",
    roles: ['main', 'fly'],
    script: 'cat /own; grep -qx main /own',
  },
  {
    section: files,
    sentence: 'paths that are not in the pathWhitelist are removed',
    roles: ['main', 'fly'],
    script: '[ ! -e /unlisted ]; [ ! -e /unlisted-lower ]; [ -e /lower ]',
  },
  {
    section: files,
    sentence: 'a symbolic link to a directory is not followed but replaced by the new path',
    roles: ['main', 'fly'],
    script: '[ ! -L /dir ]; [ -f /dir/file ]; [ ! -e /elsewhere/file ]',
  },
  {
    section: volumes,
    sentence: 'volumes are mounted into each of the apps',
    roles: pod,
    script: `${shared}echo "from $ROLE" > $own/$ROLE
${until('-s $own/$other')}
grep -qx "from $other" $own/$other`,
  },
  {
    section: volumes,
    sentence: "a host volume is the host's folder",
    roles: apps,
    script: `case $ROLE in side) at=/host ;; *) at=/full ;; esac
cat $at/of-the-host; grep -qx 'of the host' $at/of-the-host`,
  },
  {
    section: volumes,
    sentence: 'a target path that does not exist is created, with missing parent directories',
    roles: ['main', 'fly'],
    script: 'grep " /deep/down/shared " /proc/self/mountinfo',
  },
  {
    section: volumes,
    sentence: 'the directories that are created are owned by 0:0 and have mode 0755',
    roles: ['main', 'fly'],
    script: `for path in /deep /deep/down; do
  is=$(stat -c '%u:%g %a' $path); echo "$path $is"; [ "$is" = '0:0 755' ]
done`,
  },
  {
    section: volumes,
    sentence: 'the contents of a non-empty target directory are obscured',
    roles: ['main', 'fly'],
    script: '[ -d /full ]; [ ! -e /full/hidden ]',
  },
  {
    section: volumes,
    sentence: 'a file at the target path is replaced by a directory',
    roles: ['main', 'fly'],
    script: 'touch /in-the-way/file; [ -d /in-the-way ]',
  },
  {
    section: volumes,
    sentence: 'a single-file volume is a file',
    roles: ['main', 'fly'],
    script: '[ -f /conf/file ]; cat /conf/file; grep -qx setting /conf/file',
  },
  {
    section: volumes,
    sentence: 'a read-only volume cannot be written (pods.md: volumes, readOnly)',
    roles: ['main', 'fly'],
    script: 'cat /ro/of-the-host; if touch /ro/file 2>/dev/null; then echo written; exit 1; fi',
  },
  {
    section: volumes,
    sentence: 'volumes are writable in a read-only rootfs',
    roles: ['side'],
    script: 'touch /host/from-side; ls /host/from-side',
  },
  {
    section: 'Network Setup',
    sentence: 'a pod has a loopback network interface',
    roles: apps,
    script: 'ip addr show dev lo; ip addr show dev lo | grep -q "LOOPBACK,UP"',
  },
  {
    section: 'Network Setup',
    sentence: 'each network interface is configured with one or more addresses',
    roles: pod,
    script: `for dev in $(ls /sys/class/net); do
  ip addr show dev $dev | grep -q "inet" || { echo $dev; exit 1; }
done`,
  },
  {
    section: 'Logging',
    sentence: 'stdout and stderr are there to be written, and to be opened',
    roles: apps,
    script: 'for path in /dev/stdout /dev/stderr; do : >> $path; done',
  },
  {
    section: environment,
    sentence: 'PATH is set',
    roles: everybody,
    script: `echo "$PATH"
[ "$PATH" = /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin ]`,
  },
  {
    section: environment,
    sentence: 'AC_APP_NAME is the name of the app',
    roles: everybody,
    script: `case $ROLE in side) name=sidekick ;; *) name=ace-main ;; esac
echo "$AC_APP_NAME"; [ "$AC_APP_NAME" = $name ]`,
  },
  {
    section: environment,
    sentence: 'container is set',
    roles: everybody,
    script: 'echo "$container"; [ -n "$container" ]',
  },
  {
    section: environment,
    sentence: 'the working directory is that of the manifest',
    roles: ['side'],
    script: 'pwd; [ "$(pwd)" = /work ]',
  },
  {
    section: environment,
    sentence: 'the working directory is the root by default',
    roles: ['main', 'pre-start', 'post-stop', 'fly'],
    script: 'pwd; [ "$(pwd)" = / ]',
  },
  {
    section: 'pods.md: PID namespace',
    sentence: 'apps see the processes of each other, and no others',
    roles: pod,
    // Each waits until it has been seen, so that it is there to be seen.
    script: `${shared}echo $PPID > $own/pid.$ROLE
${until('-s $own/pid.$other')}
read -r pid < $own/pid.$other; ls -d /proc/$pid
: > $own/saw.$other
${until('-e $own/saw.$ROLE')}
count=0
for pid in /proc/[0-9]*; do count=$((count + 1)); done
echo $count processes; [ $count -lt 20 ]; grep -qx systemd /proc/1/comm`,
  },
  {
    section: 'pods.md: UTS namespace',
    sentence: 'apps share a host name',
    roles: pod,
    script: `${shared}hostname > $own/hostname.$ROLE
${until('-s $own/hostname.$other')}
cmp $own/hostname.main $own/hostname.side`,
  },
  {
    section: capabilities,
    sentence: 'without an isolator the bounding set is the default set of 14',
    roles: ['main'],
    script: 'grep CapBnd /proc/self/status; grep -q "CapBnd:.00000000a80425fb" /proc/self/status',
  },
  {
    section: `${capabilities}-remove-set`,
    sentence: 'the set is removed from the default set',
    roles: ['side'],
    // Without CAP_KILL and CAP_NET_RAW; CAP_SYS_ADMIN is not in the default set.
    script: 'grep CapBnd /proc/self/status; grep -q "CapBnd:.00000000a80405db" /proc/self/status',
  },
  {
    section: `${capabilities}-retain-set`,
    sentence: 'the set is the bounding set',
    roles: ['third'],
    script: 'grep CapBnd /proc/self/status; grep -q "CapBnd:.0000000000001400" /proc/self/status',
  },
  {
    section: 'os/linux/no-new-privileges',
    sentence: 'the default value is false',
    roles: ['main'],
    script: 'grep -q "NoNewPrivs:.0" /proc/self/status',
  },
  {
    section: 'os/linux/no-new-privileges',
    sentence: 'if set to true, app and children can never gain new privileges',
    roles: ['side'],
    script: 'grep -q "NoNewPrivs:.1" /proc/self/status',
  },
  {
    section: `${seccomp}-remove-set`,
    sentence: 'the system calls in the set are blocked, and fail with the errno',
    roles: ['side'],
    script: 'mkdir /tmp/folder 2>&1 | grep "not supported"',
  },
  {
    section: `${seccomp}-remove-set`,
    sentence: 'system calls that are not in the set are not blocked',
    roles: ['side'],
    script: 'ln -s target /host/link; chmod 644 /host/of-the-host; rm /host/link',
  },
  {
    section: `${seccomp}-retain-set`,
    sentence: 'the system calls in the set are not blocked',
    roles: ['third'],
    script: 'mkdir /tmp/folder; rmdir /tmp/folder',
  },
  {
    section: `${seccomp}-retain-set`,
    sentence: 'the others are blocked, and fail with the errno',
    roles: ['third'],
    script: 'unshare -U true 2>&1 | grep "not supported"',
  },
];

/** The numbers of the checks that a role has to pass. */
export function checksOf(role: Role): number[] {
  return checks.flatMap((check, index) => (check.roles.includes(role) ? [index] : []));
}
