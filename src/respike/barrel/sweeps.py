"""One whisker sweep in MuJoCo: an object moves through the array, forces and torques at the whiskers' bases come out.

A stand-in for the published Bullet simulation: the same geometry, trajectories and layout, chains of three to nine
stiff links with one taper law instead of fitted springs. Units of force and torque are arbitrary, as in the original.
"""

from typing import NamedTuple

import mujoco
import numpy as np
from jaxtyping import Float

from respike.barrel import params, shapes
from respike.barrel.whiskers import UNIT_LENGTH, Whisker, array_centre, centreline, whiskers
from respike.core import seeds

STIFFNESS, DAMPING = 7000.0, 0.02  # of the joint k of n: STIFFNESS (n - k)^2 / link length; damping is a share of it
LINK_RADIUS = 0.3  # mm
FORCE_GAIN = 3.3  # brings forces in contact to the published range
PRE_STRESS = {"force": (2.91, 1.48), "torque": (1.64, 1.11)}  # mean and sd of ln(modulus) without touch
PRE_STRESS_SEED = 515  # one array of whiskers, whatever the seed of the run
START, START_SPREAD = (13.0, -8.0), (10.0, 4.0, 10.0)  # mm: y, and z below the array's centre; half widths of x, y, z
SPEED = (7.0, 14.0)  # mm / s
OFFSETS = (0.0, -20.0, 20.0)  # mm, sideways, of the three groups of four sweeps
LARGEST_ANGLE, HALVINGS = np.pi, 3  # rad, of a joint; how often an unstable sweep is tried again with half the step
CLEARANCE, CLEARANCE_WIDTH = 5.0, 10.0  # mm below a whisker's base, and sideways, where the object must not be
LID = 9  # points along each side of the upper face of the bounding box that are looked at


class Object(NamedTuple):
    """What one sample is: a shape in its pose, and where it starts and how fast it moves."""

    shape: shapes.Shape
    rotation: Float[np.ndarray, "3 3"]
    start: Float[np.ndarray, " 3"]  # mm
    speed: float  # mm / s


def n_links(whisker: Whisker) -> int:
    """Links of a whisker in our simulation, a third of the published number but three where there are three."""
    return max(min(params.UNITS, whisker.n_units), int(np.ceil(whisker.n_units / 3)))


def draw_object(kind: int, index: int, seed: int, settings: params.Sweeps) -> Object:
    """Object number `index` of class `kind`; with a folder of meshes the shape is file number `index` of the class."""
    rng = seeds.generator(seed, "barrel", "object", kind, index)
    shape = shapes.draw(kind, rng)
    if settings.meshes:
        files = shapes.read_meshes(shapes.Path(settings.meshes))[kind]
        shape = shapes.load(files[index % len(files)])
    diagonal = rng.uniform(settings.smallest_mm, settings.largest_mm)
    rotation = shapes.orientation(rng, settings.max_tilt_deg)
    centre = array_centre()
    start = np.array([centre[0], START[0], centre[2] + START[1]]) + rng.uniform(-1, 1, 3) * START_SPREAD
    return Object(shapes.scaled(shape, diagonal), rotation, start, rng.uniform(*SPEED))


class Placed(NamedTuple):
    """An object on its way: its pose, where its centre starts, and its velocity."""

    shape: shapes.Shape
    rotation: Float[np.ndarray, "3 3"]
    position: Float[np.ndarray, " 3"]  # mm
    velocity: Float[np.ndarray, " 3"]  # mm / s


def place(thing: Object, sweep: int) -> Placed:
    """The object in sweep number `sweep` (0 to 11): three sideways offsets times four quarter turns about its own axis."""
    shift = np.array([OFFSETS[sweep // 4], 0, 0])
    rotation = thing.rotation @ shapes.euler(0, 0, sweep % 4 * np.pi / 2)
    start, aim = thing.start + shift, array_centre() + shift + (0, 0, -4)
    direction = (aim - start) / np.linalg.norm(aim - start)
    points = shapes.corners(thing.shape) @ rotation.T
    position = start - direction * (points @ direction).max()
    position[2] -= _too_high(position, points, direction)
    return Placed(thing.shape, rotation, position, thing.speed * direction)


def _too_high(position, points, direction) -> float:
    """How far the bounding box must go down so that it passes below the bases of the whiskers."""
    low, high = position + points.min(0), position + points.max(0)
    across = np.linspace(low[:2], high[:2], LID)
    box = np.array([[x, y, high[2]] for x in across[:, 0] for y in across[:, 1]])
    bases = np.array([whisker.base for whisker in whiskers()])
    travelled = (bases[:, None, 1] - box[None, :, 1]) / direction[1]
    passing = box + travelled[..., None] * direction
    near = np.abs(passing[..., 0] - bases[:, None, 0]) < CLEARANCE_WIDTH
    above = passing[..., 2] - (bases[:, None, 2] - CLEARANCE)
    return float(max(0, np.where(near, above, 0).max()))


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


def _object_xml(placed: Placed) -> tuple[str, str]:
    """The object's body, and the meshes that it needs."""
    meshes, geoms = "", ""
    for k, part in enumerate(placed.shape):
        size = f'size="{_vector(part.half)}"'
        if part.kind == "mesh":
            meshes += f'<mesh name="part{k}" vertex="{_vector(part.vertices)}"/>'
            size = f'mesh="part{k}"'
        pose = f'pos="{_vector(part.position)}" quat="{_vector(_quaternion(part.rotation))}"'
        geoms += f'<geom type="{part.kind}" {size} {pose} contype="0" conaffinity="1" mass="1"/>'
    joints = "".join(f'<joint type="slide" axis="{axis}"/>' for axis in ("1 0 0", "0 1 0", "0 0 1"))
    pose = f'pos="{_vector(placed.position)}" quat="{_vector(_quaternion(placed.rotation))}"'
    # a frame in the world's axes slides, the object is fixed in it
    slide = f'<body name="object">{joints}<inertial pos="0 0 0" mass="1e6" diaginertia="1e6 1e6 1e6"/>'
    return f"{slide}<body {pose}>{geoms}</body></body>", meshes


def build(placed: Placed, time_step: float) -> mujoco.MjModel:
    """MuJoCo model of the whisker array and one object."""
    body, meshes = _object_xml(placed)
    sites = [f"{whisker.name}_{k}" for whisker in whiskers() for k in range(min(params.UNITS, n_links(whisker)))]
    sensors = "".join(f'<{kind} site="{site}"/>' for kind in ("force", "torque") for site in sites)
    return mujoco.MjModel.from_xml_string(
        f'<mujoco><option timestep="{time_step!r}" gravity="0 0 0" integrator="implicitfast" solver="Newton" iterations="20"'
        f' tolerance="1e-6"/><size memory="20M"/><default><geom friction="0.5"/></default><asset>{meshes}</asset><worldbody>'
        f"{''.join(map(_whisker_xml, whiskers()))}{body}</worldbody><sensor>{sensors}</sensor></mujoco>"
    )


def simulate(placed: Placed, time_step: float) -> tuple[Float[np.ndarray, "frame 31 3 3"], Float[np.ndarray, "frame 31 3 3"]]:
    """Force and torque in the world's axes at the first three links of each whisker, 110 frames at 10 Hz, float32.

    A sweep in which a whisker is flung around is simulated again with a smaller step.
    """
    mujoco.set_mju_user_warning(lambda message: None)  # else each becomes a line in a file in the current folder
    tries = [time_step / 2**k for k in range(HALVINGS + 1)]
    frames = next((found for found in (_frames(placed, step) for step in tries) if found is not None), None)
    if frames is None:
        raise ValueError(
            f"a sweep is unstable even with steps of {tries[-1]:.5f} s; lower barrel.sweeps.time_step (now {time_step:.5f})"
        )
    frames[:, 0] *= FORCE_GAIN
    force, torque = (_spread(frames[:, k]) + _pre_stress(kind) for k, kind in enumerate(("force", "torque")))
    return force.astype(np.float32), torque.astype(np.float32)


def _frames(placed: Placed, time_step: float) -> Float[np.ndarray, "frame kind site 3"] | None:
    """Readings of the sensors in the world's axes; None when the simulation became unstable."""
    model = build(placed, time_step)
    data = mujoco.MjData(model)
    every, n_sites = steps_per_frame(time_step), model.nsite
    frames = np.empty((params.FRAMES, 2, n_sites, 3))
    slides = slice(model.nv - 3, model.nv)  # the object stands last in the model
    for frame in range(params.FRAMES):
        for _ in range(every):
            data.qvel[slides] = placed.velocity
            mujoco.mj_step(model, data)
        if data.warning.number.any() or np.abs(data.qpos[:-3]).max() > LARGEST_ANGLE:
            return None
        local = data.sensordata.reshape(2, n_sites, 3)
        frames[frame] = np.einsum("sij,ksj->ksi", data.site_xmat.reshape(n_sites, 3, 3), local)
    return frames


def steps_per_frame(time_step: float) -> int:
    """Simulation steps per recorded frame; ValueError unless it is a whole number."""
    every = 1 / (params.FRAME_RATE * time_step)
    if abs(every - round(every)) > 1e-6 or every < 1:
        raise ValueError(
            f"barrel.sweeps.time_step is {time_step}: a frame of {1 / params.FRAME_RATE} s must be a whole number of steps"
        )
    return round(every)


def _present() -> np.ndarray:
    """Which of the three links each whisker has: C6 has two."""
    return np.array([[k < n_links(whisker) for k in range(params.UNITS)] for whisker in whiskers()])


def _spread(values: Float[np.ndarray, "frame site 3"]) -> Float[np.ndarray, "frame 31 3 3"]:
    """Values by whisker and link, zero where a whisker has no such link."""
    result = np.zeros((len(values), params.WHISKERS, params.UNITS, 3))
    result[:, _present()] = values
    return result


def _pre_stress(kind: str) -> Float[np.ndarray, "31 3 3"]:
    """Constant that each channel shows without touch: random direction, log-normal modulus."""
    rng = seeds.generator(PRE_STRESS_SEED, "barrel", "pre-stress", kind)
    direction = rng.standard_normal((params.WHISKERS, params.UNITS, 3))
    mean, deviation = PRE_STRESS[kind]
    modulus = np.exp(rng.normal(mean, deviation, (params.WHISKERS, params.UNITS, 1))) * _present()[..., None]
    return modulus * direction / np.linalg.norm(direction, axis=-1, keepdims=True)
