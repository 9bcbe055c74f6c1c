"""One whisker sweep in MuJoCo: an object moves through the array, forces and torques at the whiskers' bases come out.

A stand-in for the published Bullet simulation: the same geometry, trajectories and layout, chains of three to nine
stiff links with one taper law instead of fitted springs. Units of force and torque are arbitrary, as in the original.
"""

import mujoco
import numpy as np
from jaxtyping import Float

from respike.barrel import params
from respike.barrel.sweeps.objects import Object
from respike.barrel.sweeps.whiskers import UNIT_LENGTH, Whisker, centreline, whiskers
from respike.core import seeds

STIFFNESS, DAMPING = 7000.0, 0.02  # of the joint k of n: STIFFNESS (n - k)^2 / link length; damping is a share of it
LINK_RADIUS = 0.3  # mm
FORCE_GAIN = 3.3  # brings forces in contact to the published range
PRE_STRESS = {"force": (2.91, 1.48), "torque": (1.64, 1.11)}  # mean and sd of ln(modulus) without touch
PRE_STRESS_SEED = 515  # one array of whiskers, whatever the seed of the run
LARGEST_ANGLE, HALVINGS = np.pi, 3  # rad, of a joint; how often an unstable sweep is tried again with half the step


def n_links(whisker: Whisker) -> int:
    """Links of a whisker in our simulation, a third of the published number but three where there are three."""
    return max(min(params.UNITS, whisker.n_units), int(np.ceil(whisker.n_units / 3)))


def _vector(values) -> str:
    return " ".join(f"{value:.9g}" for value in np.ravel(values))


def _quaternion(rotation: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, " 4"]:
    result = np.empty(4)
    mujoco.mju_mat2Quat(result, np.ascontiguousarray(rotation).ravel())
    return result


def _whisker_xml(whisker: Whisker) -> str:
    """Nested bodies, one per link, each with two hinges across the link."""
    n = n_links(whisker)
    length = UNIT_LENGTH * whisker.n_units / n
    nodes = centreline(whisker, length, n)
    before, opened, parent = np.eye(3), "", np.zeros(3)
    for k in range(n):
        along = (nodes[k + 1] - nodes[k]) / length
        across = whisker.rotation[:, 0]
        frame = np.column_stack([across, np.cross(along, across), along])
        stiffness = STIFFNESS * (n - k) ** 2 / length
        hinge = f'type="hinge" stiffness="{stiffness:.9g}" damping="{DAMPING * stiffness:.9g}"'
        opened += (
            f'<body pos="{_vector(before.T @ (nodes[k] - parent))}" quat="{_vector(_quaternion(before.T @ frame))}">'
            f'<joint axis="1 0 0" {hinge}/><joint axis="0 1 0" {hinge}/>'
            f'<geom type="capsule" fromto="0 0 0 0 0 {length:.9g}" size="{LINK_RADIUS}" mass="{whisker.n_units / n:.9g}"'
            ' contype="1" conaffinity="0"/>'
        )
        opened += f'<site name="{whisker.name}_{k}"/>' if k < params.UNITS else ""
        before, parent = frame, nodes[k]
    return opened + "</body>" * n


def _object_xml(thing: Object) -> tuple[str, str]:
    """The object's body, and the meshes that it needs."""
    meshes, geoms = "", ""
    for k, part in enumerate(thing.shape):
        size = f'size="{_vector(np.ptp(part.vertices, axis=0) / 2)}"'
        if part.kind == "mesh":
            meshes += f'<mesh name="part{k}" vertex="{_vector(part.vertices)}"/>'
            size = f'mesh="part{k}"'
        pose = f'pos="{_vector(part.position)}" quat="{_vector(_quaternion(part.rotation))}"'
        geoms += f'<geom type="{part.kind}" {size} {pose} contype="0" conaffinity="1" mass="1"/>'
    joints = "".join(f'<joint type="slide" axis="{axis}"/>' for axis in ("1 0 0", "0 1 0", "0 0 1"))
    pose = f'pos="{_vector(thing.position)}" quat="{_vector(_quaternion(thing.rotation))}"'
    # a frame in the world's axes slides, the object is fixed in it
    slide = f'<body name="object">{joints}<inertial pos="0 0 0" mass="1e6" diaginertia="1e6 1e6 1e6"/>'
    return f"{slide}<body {pose}>{geoms}</body></body>", meshes


def build(thing: Object, time_step: float) -> mujoco.MjModel:
    """MuJoCo model of the whisker array and one object."""
    body, meshes = _object_xml(thing)
    sites = [f"{whisker.name}_{k}" for whisker in whiskers() for k in range(min(params.UNITS, n_links(whisker)))]
    sensors = "".join(f'<{kind} site="{site}"/>' for kind in ("force", "torque") for site in sites)
    return mujoco.MjModel.from_xml_string(
        f'<mujoco><option timestep="{time_step!r}" gravity="0 0 0" integrator="implicitfast" solver="Newton" iterations="20"'
        f' tolerance="1e-6"/><size memory="20M"/><default><geom friction="0.5"/></default><asset>{meshes}</asset><worldbody>'
        f"{''.join(map(_whisker_xml, whiskers()))}{body}</worldbody><sensor>{sensors}</sensor></mujoco>"
    )


def simulate(thing: Object, time_step: float) -> Float[np.ndarray, "kind frame 31 3 3"]:
    """Force and torque in the world's axes at the first three links of each whisker, 110 frames at 10 Hz, float32.

    A sweep in which a whisker is flung around is simulated again with a smaller step.
    """
    mujoco.set_mju_user_warning(lambda message: None)  # else each becomes a line in a file in the current folder
    tries = [time_step / 2**k for k in range(HALVINGS + 1)]
    frames = next((readings for step in tries if (readings := _frames(thing, step)) is not None), None)
    if frames is None:
        raise ValueError(
            f"a sweep is unstable even with steps of {tries[-1]:.5f} s; lower barrel.sweeps.time_step (now {time_step:.5f})"
        )
    readings = np.zeros((2, params.FRAMES, params.WHISKERS, params.UNITS, 3))
    readings[:, :, _present()] = frames
    readings[0] *= FORCE_GAIN
    return (readings + np.stack([_pre_stress(kind) for kind in PRE_STRESS])[:, None]).astype(np.float32)


def _frames(thing: Object, time_step: float) -> Float[np.ndarray, "kind frame site 3"] | None:
    """Readings of the sensors in the world's axes; None when the simulation became unstable."""
    model = build(thing, time_step)
    data = mujoco.MjData(model)
    every, n_sites = round(1 / (params.FRAME_RATE * time_step)), model.nsite
    frames = np.empty((2, params.FRAMES, n_sites, 3))
    slides = slice(model.nv - 3, model.nv)  # the object stands last in the model
    for frame in range(params.FRAMES):
        for _ in range(every):
            data.qvel[slides] = thing.velocity
            mujoco.mj_step(model, data)
        if data.warning.number.any() or np.abs(data.qpos[:-3]).max() > LARGEST_ANGLE:
            return None
        local = data.sensordata.reshape(2, n_sites, 3)
        frames[:, frame] = np.einsum("sij,ksj->ksi", data.site_xmat.reshape(n_sites, 3, 3), local)
    return frames


def _present() -> np.ndarray:
    """Which of the three links each whisker has: C6 has two."""
    return np.array([[k < n_links(whisker) for k in range(params.UNITS)] for whisker in whiskers()])


def _pre_stress(kind: str) -> Float[np.ndarray, "31 3 3"]:
    """Constant that each channel shows without touch: random direction, log-normal modulus."""
    rng = seeds.generator(PRE_STRESS_SEED, "barrel", "pre-stress", kind)
    direction = rng.standard_normal((params.WHISKERS, params.UNITS, 3))
    mean, deviation = PRE_STRESS[kind]
    modulus = np.exp(rng.normal(mean, deviation, (params.WHISKERS, params.UNITS, 1))) * _present()[..., None]
    return modulus * direction / np.linalg.norm(direction, axis=-1, keepdims=True)
